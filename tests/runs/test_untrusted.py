"""Run directories that somebody else made: no code of theirs is run, no file outside is touched."""

import hashlib
import http.server
import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

import ebmcore
from ebmcore import EbmError
from ebmcore.runs.status import read_account
from support import servers
from support.runs import change

OWNED = "import pathlib; pathlib.Path('owned').touch()"


class Payload:
    def __reduce__(self):
        return (exec, (OWNED,))


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_config):
    """A killed run, made once."""
    place = tmp_path_factory.mktemp("made")
    config = make_config()
    config["train"] = {"steps": 12, "batch_size": 20, "checkpoint_every": "5 steps", "ema": 0.5}
    config["monitors"] = []
    run = ebmcore.run(config, runs_dir=place, progress=False)
    shutil.rmtree(run.dir / "checkpoints" / "step-00000012")
    change(run.dir / "run.json", status="RUNNING")
    return run.dir


@pytest.fixture
def run_dir(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "theirs"))


def sign(run_dir):
    """Let the manifest say of each file what stands there now."""
    for place in run_dir.glob("checkpoints/step-*"):
        hashes = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in place.iterdir()
            if file.name != "manifest.json"
        }
        change(place / "manifest.json", sha256=hashes)


def doors(run_dir, files):
    """Every way into a run directory."""
    return {
        "resume": lambda: ebmcore.resume(run_dir, plugins=files, progress=False),
        "load": lambda: ebmcore.load(run_dir, plugins=files),
        "evaluate": lambda: ebmcore.evaluate(run_dir, plugins=files),
    }


DOORS = ("resume", "load", "evaluate")


def refused(run_dir, files, door, match):
    before = {f: f.read_bytes() for f in run_dir.rglob("*") if f.is_file() and f.name != ".lock"}
    with pytest.raises(EbmError, match=match):
        doors(run_dir, files)[door]()
    after = {f: f.read_bytes() for f in run_dir.rglob("*") if f.is_file() and f.name != ".lock"}
    assert after == before
    assert not Path("owned").exists()


def test_the_payload_would_do_harm():
    pickle.loads(pickle.dumps(Payload()))
    assert Path("owned").exists()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["weights", "ema", "state"])
def test_a_pickle_in_place_of_tensors_is_not_opened(run_dir, files, door, name):
    for place in run_dir.glob("checkpoints/step-*"):
        torch.save({"weight": Payload()}, place / f"{name}.safetensors")
    sign(run_dir)
    if (door, name) in {("load", "weights"), ("evaluate", "weights")}:
        doors(run_dir, files)["load"]()  # there are averaged ones, so nobody looks at these
        assert not Path("owned").exists()
        return
    refused(run_dir, files, door, r"no safetensors file|can't be read")


@pytest.mark.parametrize("door", DOORS)
def test_a_manifest_names_nothing_outside(run_dir, files, door, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("mine")
    for place in run_dir.glob("checkpoints/step-*"):
        hashes = json.loads((place / "manifest.json").read_text())["sha256"]
        hashes["../../../secret"] = hashlib.sha256(b"mine").hexdigest()
        change(place / "manifest.json", sha256=hashes)
    refused(run_dir, files, door, r"missing, or not what was written")


@pytest.mark.parametrize("door", DOORS)
def test_a_link_in_a_checkpoint_is_not_followed(run_dir, files, door, tmp_path):
    for place in run_dir.glob("checkpoints/step-*"):
        shutil.move(place / "weights.safetensors", tmp_path / f"{place.name}.safetensors")
        (place / "weights.safetensors").symlink_to(tmp_path / f"{place.name}.safetensors")
    refused(run_dir, files, door, r"missing, or not what was written|is a link to another place")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["metrics.jsonl", "config.yaml", "checkpoints", "log.txt"])
def test_a_link_out_of_the_directory_is_not_written_through(run_dir, files, door, name, tmp_path):
    outside = tmp_path / "outside"
    if (run_dir / name).exists():
        shutil.move(run_dir / name, outside)
    else:
        outside.write_text("mine\n")
    (run_dir / name).symlink_to(outside)
    refused(run_dir, files, door, rf"{name}: is a link to another place")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("declared", ["header", "real"])
def test_a_huge_tensor_is_not_made(run_dir, files, door, declared):
    for place in run_dir.glob("checkpoints/step-*"):
        for name in ("weights", "ema"):
            file = place / f"{name}.safetensors"
            if declared == "real":  # well formed, and not of the energy's shape
                save_file({"weight": torch.zeros(100_000)}, file)
                continue
            header = json.dumps(
                {"weight": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}
            ).encode()
            file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    sign(run_dir)
    refused(run_dir, files, door, r"no safetensors file|doesn't fit|don't fit")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "manifest",
    [
        *({"event_shape": bad} for bad in ("wide", [-3], [10**13])),
        {"step": "x"},
        *({"sha256": bad} for bad in (3, {}, [[5, "x"]])),
        {"whole": None},
        None,
    ],
    ids=str,
)
def test_a_manifest_of_nonsense_is_refused_or_passed_over(run_dir, files, door, manifest):
    for place in run_dir.glob("checkpoints/step-*"):
        if manifest is None:
            (place / "manifest.json").write_text("null")
        else:
            change(place / "manifest.json", **manifest)
    if door != "resume" and manifest == {"whole": None}:
        doors(run_dir, files)[door]()  # looking at it needs no exact end
    else:
        refused(run_dir, files, door, r".")


@pytest.mark.parametrize(
    "state",
    [
        "3",
        '{"tensor": "no/such"}',
        '{"dict": [["optimizer", {"dict": []}]]}',
        '{"dict": 7}',
        '{"object": "os.system"}',
        "[" * 100_000,
    ],
    ids=lambda state: state[:20],
)
def test_a_state_of_nonsense_is_refused(run_dir, files, state):
    for place in run_dir.glob("checkpoints/step-*"):
        (place / "state.json").write_text(state)
    sign(run_dir)
    refused(run_dir, files, "resume", r"state\.json|doesn't fit|no packed state")


@pytest.mark.parametrize("door", DOORS)
def test_a_local_plugin_file_needs_the_users_own_word(run_dir, files, door):
    kept = run_dir / "plugins" / "parts.py"
    kept.write_text(f"{OWNED}\n{kept.read_text()}")
    refused(run_dir, (), door, r"If you trust them, add -p .*plugins/parts\.py")


@pytest.mark.parametrize("door", ["resume", "load"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("type: Adam", "type: os.system"),
        ("type: Adam", "type: 'builtins:exec'"),
        ("type: 'parts:bowl'", "type: 'os:system'"),
        ("name: bare", "name: !!python/object/apply:os.system ['touch owned']"),
    ],
)
def test_a_config_imports_nothing(run_dir, files, door, was, becomes):
    recorded = run_dir / "config.yaml"
    text = recorded.read_text().replace("parts:bowl", "'parts:bowl'").replace("''", "'")
    assert was in text
    recorded.write_text(text.replace(was, becomes))
    if door == "load" and "Adam" in was:
        doors(run_dir, files)["load"]()  # it needs no optimiser
        assert not Path("owned").exists()
        return
    refused(run_dir, files, door, r".")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "text",
    ["[]", "{}", "null", "{", '{"status": {}, "seed": [], "from_config": true}', "[" * 100_000],
    ids=lambda text: text[:12],
)
def test_a_run_json_of_nonsense_is_refused(run_dir, files, door, text):
    (run_dir / "run.json").write_text(text)
    if door == "resume" and "from_config" in text:  # all that it needs is in the config
        assert doors(run_dir, files)["resume"]().status == "FINISHED"
        return
    refused(run_dir, files, door, r".")


@pytest.mark.parametrize("record", ["3", '{"dict": []}', None], ids=str)
def test_a_record_of_nonsense_is_refused(run_dir, files, record):
    for place in run_dir.glob("checkpoints/step-*"):
        packed = json.loads((place / "state.json").read_text())
        packed["dict"] = [pair for pair in packed["dict"] if pair[0] != "record"]
        if record is not None:
            packed["dict"].append(["record", json.loads(record)])
        (place / "state.json").write_text(json.dumps(packed))
    sign(run_dir)
    refused(run_dir, files, "resume", r"its state doesn't fit the (run's record|loop)")


def test_a_state_without_a_hash_is_refused(run_dir, files):
    for place in run_dir.glob("checkpoints/step-*"):
        hashes = json.loads((place / "manifest.json").read_text())["sha256"]
        del hashes["state.json"]
        change(place / "manifest.json", sha256=hashes)
    refused(run_dir, files, "resume", r"state\.json: missing, or not what was written")


class Listens(http.server.BaseHTTPRequestHandler):
    """A server that keeps what it was sent."""

    heard: list[str | None] = []  # noqa: RUF012 (each test serves a class of its own)

    def do_GET(self):
        self.heard.append(self.headers.get("Authorization"))
        self.send_error(500)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("place", ["run.json", "config.yaml"])
def test_resume_sends_no_credentials_where_the_directory_says(run_dir, files, monkeypatch, place):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    with servers.serving(Listens, heard=[]) as (uri, handler):
        section = {"uri": uri} if place == "config.yaml" else {}
        text = (run_dir / "config.yaml").read_text()
        tree = {**yaml.safe_load(text), "tracking": section}
        (run_dir / "config.yaml").write_text(yaml.safe_dump(tree))
        if place == "run.json":
            change(run_dir / "run.json", mlflow={"uri": uri, "token": "t", "tags": {}})
        resumed = doors(run_dir, files)["resume"]()
        assert resumed.status == "FINISHED"
        assert handler.heard == []
    (warning,) = resumed.warnings
    assert f"nothing is sent to MLflow: {uri} is named by the directory alone" in warning
    if place == "run.json":
        assert read_account(run_dir).mlflow == "behind"


def test_a_line_of_metrics_that_is_none_is_refused(run_dir, files):
    with (run_dir / "metrics.jsonl").open("r+") as file:
        content = file.read()
        file.seek(0)
        file.write("{}\n" + content)
    refused(run_dir, files, "resume", r"metrics\.jsonl:1: no line of metrics")


def test_the_command_line_says_it_without_a_traceback(run_dir, ebmcore_command):
    done = ebmcore_command("resume", run_dir)
    assert done.returncode == 2
    assert "If you trust them, add -p" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir() == ["theirs"]
