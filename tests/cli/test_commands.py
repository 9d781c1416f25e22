"""The command line, as a user calls it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from ebmcore.runner.api import prepare


@pytest.fixture
def file(config, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def imported_by(*arguments):
    code = (
        "import sys\nfrom ebmcore.cli.main import app\n"
        f"try:\n    app({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        "print('IMPORTED', *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"], ["run", "--help"]])
def test_light_commands_import_nothing_heavy(arguments):
    heavy = {"torch", "mlflow", "matplotlib", "pydantic", "yaml", "numpy", "ebmcore.config"}
    slow = {"email.message", "hashlib", "importlib.metadata", "packaging"}  # 50 ms together
    if "--help" in arguments:
        slow |= {"rich"}
    assert not (heavy | slow) & imported_by(*arguments)


def test_run_prints_one_json_document(file, fresh_command):
    done = fresh_command("run", file, "train.epochs=1", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["status"] == "FINISHED"
    assert found["mlflow_run_id"] is None
    assert "loss" in found["metrics"]
    assert "step 9/9" in done.stderr
    assert "gap" in done.stderr


def test_a_plugin_that_prints_does_not_spoil_the_document(file, tmp_path, ebmcore_command):
    (tmp_path / "loud.py").write_text(
        "print('hello')\nfrom ebmcore import monitor\n@monitor\ndef loud(view):\n"
        "    print('hello')\n    return {}\n"
    )
    done = ebmcore_command("run", file, "-p", "loud.py", "monitors=[loud]", "--json")
    assert json.loads(done.stdout)["status"] == "FINISHED"
    assert "hello" in done.stderr


def test_wrong_input_is_one_message_and_exit_code_2(file, tmp_path, ebmcore_command):
    done = ebmcore_command("run", file, "sampler.step_size=-1", "train.epocs=3")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "override train.epocs: unknown key. Did you mean 'epochs'? Keys here: epochs, steps, "
        "batch_size, clip_grad_norm, ema, data_noise, log_every, checkpoint_every, "
        "keep_checkpoints, keep_best, on_divergence, on_unstable, max_energy, max_gap, precision, "
        "max_skips, max_rollbacks, rollback_lr",
        "override sampler.step_size: should be greater than 0; got -1",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"]


def test_wrong_input_as_json(file, ebmcore_command):
    done = ebmcore_command("run", file, "sampler.step_size=-1", "--json")
    assert done.returncode == 2
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["path"] == "sampler.step_size"


def test_a_failed_run_is_exit_code_1(file, ebmcore_command):
    done = ebmcore_command("run", file, "loss=parts:breaks", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "FAILED"
    assert "Traceback" not in done.stderr
    assert "loss 'parts:breaks'" in done.stderr


def test_a_dry_run_writes_nothing(file, tmp_path, ebmcore_command):
    done = ebmcore_command("run", file, "--dry-run", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert (found["parameters"], found["steps"], found["event_shape"]) == (2, 18, [2])
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"]


def test_sample(file, tmp_path, ebmcore_command, config):
    run_dir = json.loads(ebmcore_command("run", file, "--json").stdout)["run_dir"]
    parts = config["plugins"]["files"][0]
    done = ebmcore_command("sample", run_dir, "-n", 50, "-o", "s.npz", "-p", parts, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["shape"] == [50, 2]
    with np.load(tmp_path / "s.npz") as found:
        assert found["x"].shape == (50, 2)
        assert found["energy"].shape == (50,)
    refused = ebmcore_command("sample", run_dir, "-o", "nowhere/s.npz", "-p", parts)
    assert refused.returncode == 2
    assert "no such folder nowhere" in refused.stderr


def test_components_and_show(config, ebmcore_command):
    parts = config["plugins"]["files"][0]
    found = json.loads(ebmcore_command("components", "energies", "-p", parts, "--json").stdout)
    (bowl,) = [c for c in found if c["full_name"] == "parts:bowl"]
    assert bowl["summary"].startswith("E(x) = ½ Σ (w x)²")
    shown = json.loads(
        ebmcore_command("show", "sampler", "parts:walk", "-p", parts, "--json").stdout
    )
    assert shown["keys"] == [
        {"name": "step_size", "type": "float > 0", "required": False, "default": "0.1",
         "description": "η."},
        {"name": "n_steps", "type": "int > 0", "required": False, "default": "10",
         "description": "Steps of the kernel for each training step."},
    ]  # fmt: skip
    assert shown["import"] is None  # a local file is in no package
    adam = ebmcore_command("show", "optimizer", "Adam").stdout
    assert "lr" in adam
    assert "\nfrom torch.optim import Adam\n" in adam
    found = json.loads(ebmcore_command("show", "optimizers", "--json").stdout)
    assert ("Adam", "ebmcore:Adam") in {(c["name"], c["full_name"]) for c in found}
    found = json.loads(ebmcore_command("components", "-p", parts, "--json").stdout)
    assert {"parts:bowl", "parts:walk"} < {c["full_name"] for c in found}
    assert not {"optimizer", "lr_scheduler"} & {c["kind"] for c in found}
    wrong = ebmcore_command("components", "engines")
    assert wrong.returncode == 2
    assert "energy, network, sampler, chains, loss, monitor, callback, dataset" in wrong.stderr


def test_the_schema_takes_good_configs_and_refuses_bad_ones(config, ebmcore_command):
    import jsonschema

    parts = config["plugins"]["files"][0]
    done = ebmcore_command("schema", "-p", parts, "--json")
    schema = json.loads(done.stdout)
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema)
    validator(schema).validate(config)
    validator(schema).validate(prepare(config).config.record)
    for key, value in (("energy", {"type": "parts:bowl", "widht": 1}), ("train", {"epochs": 0})):
        with pytest.raises(jsonschema.ValidationError):
            validator(schema).validate({**config, key: value})


def test_plugins_list_tells_of_a_broken_file(tmp_path, ebmcore_command):
    (tmp_path / "bad.py").write_text("import nowhere_at_all")
    done = ebmcore_command("plugins", "list", "-p", "bad.py", "--json")
    assert done.returncode == 0
    (bad,) = [p for p in json.loads(done.stdout) if p["name"] == "bad"]
    assert bad["status"] == "import_error"
    assert "nowhere_at_all" in bad["reason"]


def test_tracking_off_imports_no_mlflow(file):
    assert "mlflow" not in imported_by("run", str(file), "monitors=[]")
