"""The runner, on parts small enough to follow."""

import json
import sys
from pathlib import Path

import pytest
import torch

import ebmcore
from ebmcore import ConfigError, EbmError, PluginError, RunError
from ebmcore.runs.directory import read_metrics
from support.runs import go, same, weights


def metrics(run):
    return [read_metrics(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]


def heard():
    (module,) = [m for n, m in sys.modules.items() if n.startswith("ebmcore_local_parts")]
    return module.HEARD


def test_a_run_leaves_what_the_design_says(config):
    run = go(config)
    assert run.status == "FINISHED"
    assert run.dir.parent.name == "runs"
    assert run.dir.name.startswith("bare-20")
    facts = json.loads((run.dir / "run.json").read_text())
    assert facts["status"] == "FINISHED"
    assert facts["step"] == 2 * (180 // 20)
    assert facts["versions"]["torch"] == str(torch.__version__)
    (local,) = [p for p in facts["plugins"] if p["file"]]
    assert (run.dir / "plugins" / "parts.py").read_bytes() == Path(local["file"]).read_bytes()
    assert len(local["sha256"]) == 64
    assert (run.dir / "figures" / "looks" / "step-00000018.png").exists()
    assert (run.dir / "figures" / "looks" / "image-step-00000009.png").exists()
    names = {name for _, _, values in metrics(run) for name in values}
    assert names == {
        "loss",
        "loss/gap",
        "loss/gap/unscaled",
        "train/grad_norm",
        "train/energy_evaluations",
        "train/gradient_evaluations",
        "train/lr",
        "train/steps_per_second",
        "train/energy_gap",
        "looks/mean",
        "looks/samples",
    }


def test_each_metric_step_stands_once(config):
    run = go(config)
    seen = [(step, name) for step, _, values in metrics(run) for name in values]
    assert len(seen) == len(set(seen))
    assert [step for step, _, v in metrics(run) if "loss" in v] == [5, 10, 15, 18]
    assert [step for step, _, v in metrics(run) if "looks/mean" in v] == [9, 18]


def test_the_recorded_config_repeats_the_run(config):
    one = go(config)
    two = go(one.dir / "config.yaml")
    for name in ("weights", "ema", "chains"):
        assert same(weights(one, name), weights(two, name))


def test_a_monitor_that_raises_is_switched_off(config):
    config["monitors"] = ["parts:stumbles", "parts:looks"]
    run = go(config)
    assert run.status == "FINISHED"
    (warning,) = run.warnings
    assert "monitor 'parts:stumbles'" in warning
    assert "ZeroDivisionError: this monitor is broken on purpose" in warning
    assert "Traceback" in (run.dir / "log.txt").read_text()
    assert "looks/mean" in run.metrics


def test_a_monitors_warning_is_recorded(config):
    run = go(config, monitors=[{"type": "parts:warns", "every": "end"}])
    assert run.warnings == ["warns at step 18: look here"]
    assert json.loads((run.dir / "run.json").read_text())["warnings"] == run.warnings


def test_a_loss_that_raises_fails_the_run(config):
    config["loss"] = {"type": "parts:breaks"}
    with pytest.raises(
        RunError, match=r"step 4: loss 'parts:breaks' \(plugin .*raised KeyError"
    ) as e:
        go(config)
    run = e.value.run
    assert run.status == "FAILED"
    facts = json.loads((run.dir / "run.json").read_text())
    assert facts["status"] == "FAILED"
    assert "broken on purpose" in facts["error"]
    assert "Traceback" in (run.dir / "log.txt").read_text()
    assert heard()[-3:] == [
        ("error", "ComponentError"),
        ("checkpoint", "step-00000003"),
        ("end", "FAILED"),
    ]


def test_a_number_that_is_not_finite_stops_the_run(config):
    config["loss"] = {"type": "parts:overflows", "at": 7}
    with pytest.raises(
        RunError, match=r"step 8: loss/overflows of loss 'parts:overflows' .* is nan; 0"
    ) as caught:
        go(config)
    assert not list(caught.value.run.dir.glob("checkpoints/*"))


def test_life_cycle_hooks_are_called_in_order(config):
    heard_before = len(heard()) if any("local_parts" in n for n in sys.modules) else 0
    go(config)
    assert heard()[heard_before:] == [
        ("start", "RUNNING"),
        ("checkpoint", "step-00000018"),
        ("end", "FINISHED"),
    ]


def test_sampling_from_a_run(config):
    run = go(config)
    draws = run.sample(30)
    assert draws.shape == (30, 2)
    assert torch.equal(draws, run.sample(30))
    assert not torch.equal(draws, run.sample(30, seed=1))
    assert run.sample(100).shape == (100, 2)  # more than the 40 chains that are kept


def test_a_loaded_run_is_the_run(config):
    run = go(config)
    loaded = ebmcore.load(run.dir, plugins=config["plugins"]["files"])
    assert same(run.energy.state_dict(), loaded.energy.state_dict())
    assert torch.equal(run.sample(30), loaded.sample(30))
    assert loaded.metrics == run.metrics
    assert loaded.status == "FINISHED"


def test_a_recorded_plugin_file_is_not_imported_unasked(config):
    run = go(config)
    with pytest.raises(EbmError, match=r"If you trust them, add -p .*plugins/parts.py"):
        ebmcore.load(run.dir)


def test_an_altered_checkpoint_is_refused(config):
    run = go(config)
    (file,) = run.dir.glob("checkpoints/*/weights.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(EbmError, match=r"weights.safetensors: missing, or not what was written"):
        ebmcore.load(run.dir, plugins=config["plugins"]["files"])


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(EbmError, match="no run directory"):
        ebmcore.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.batch_size", 1000, "should be at most the 180 training points; got 1000"),
        ("chains.size", 10, "size should be at least 20; got 10"),
        ("device", "nowhere", "can't be used"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_any_write(config, tmp_path, key, value, message):
    with pytest.raises(ConfigError, match=message):
        go(config, **{key: value})
    assert not list(tmp_path.iterdir())


OLD_CHAINS = """
import torch
from ebmcore import Chains, Start, chains

class Old(Chains):
    def start(self, x):
        self.x = getattr(self, "x", x + 1.0)
        return self.x.clone()

@chains
class takes_x(Old):
    def keep(self, x_end):
        self.x = x_end.detach().clone()

@chains
class writes_x(Old):
    def keep(self, x_end):
        self.x[:] = x_end

@chains
class returns_x(Old):
    def keep(self, end):
        self.x = end.x

    def kept(self):
        return self.x
"""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "takes_x",
            "`takes_x.keep` takes a tensor and gets a `Start`; take the ends of the chains",
        ),
        ("writes_x", r"`writes_x.keep` takes a tensor .* def keep\(self, end\): … end\.x …"),
        ("returns_x", r"`returns_x.kept` returns a Tensor; return a `Start` of the .*Start\(x\)"),
    ],
    ids=["takes_x", "writes_x", "returns_x"],
)
def test_chains_of_the_old_form_are_refused(config, tmp_path, kind, message):
    (tmp_path / "old_chains.py").write_text(OLD_CHAINS)
    config["plugins"]["files"].append(str(tmp_path / "old_chains.py"))
    with pytest.raises(
        PluginError, match=rf"chains '.*{kind}' \(plugin .*old_chains.py\): {message}"
    ):
        ebmcore.run(config, {"chains": {"type": kind}}, progress=False)
    assert not list(tmp_path.glob("runs/*"))
