"""Signals to real runs: what they write, how they end, and how soon."""

import json
import os
import signal
import time

import pytest
import yaml
from safetensors.torch import load_file

import ebmcore
from support.runs import facts

pytestmark = pytest.mark.slow

SOON = 5.0  # seconds from a signal to the end that are promised


@pytest.fixture
def config(config):
    config["loss"] = {"type": "parts:dawdles"}
    config["train"] = {
        "steps": 100_000,
        "batch_size": 20,
        "log_every": 10,
        "checkpoint_every": "10 minutes",
    }
    config["monitors"] = []
    config["tracking"] = {"experiment": "signals"}
    return config


@pytest.fixture
def started(config, tmp_path, begin_command):
    """Begin a run and wait for its first steps."""

    def start(**changes):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump({**config, **changes}))
        process = begin_command("run", "c.yaml", "--json")
        wait_for(lambda: list(tmp_path.glob("runs/*/metrics.jsonl")), process)
        (folder,) = tmp_path.glob("runs/*")
        return process, folder

    return start


def wait_for(there, process, seconds=90):
    until = time.monotonic() + seconds
    while not there() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    assert there()


def has_mlflow_run(folder):
    return bool((facts(folder).get("mlflow") or {}).get("run_id"))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_the_step_saves_and_leaves_soon(started, store, number, code):
    process, folder = started()
    wait_for(lambda: has_mlflow_run(folder), process)
    began = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    took = time.monotonic() - began
    assert process.returncode == code
    assert took < SOON, took
    answer = json.loads(out)
    assert answer["status"] == facts(folder)["status"] == "KILLED"
    (place,) = folder.glob("checkpoints/step-*")
    assert int(place.name[5:]) == facts(folder)["step"] > 0
    assert store.get_run(answer["mlflow_run_id"]).info.status == "KILLED"


def test_sigusr1_saves_and_goes_on(started):
    process, folder = started(tracking="off")
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: len(list(folder.glob("checkpoints/step-*"))) == 1, process)
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: len(list(folder.glob("checkpoints/step-*"))) == 2, process)
    assert facts(folder)["checkpoint"]["why"] == "SIGUSR1"
    assert facts(folder)["status"] == "RUNNING"
    for place in folder.glob("checkpoints/step-*"):
        assert load_file(place / "weights.safetensors")


def test_sigusr1_before_training_ends_nothing(config, tmp_path, ebmcore_command):
    text = (
        "import os, signal\nfrom ebmcore import monitor\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "@monitor\ndef idle(view):\n    return {}\n"
    )
    (tmp_path / "early.py").write_text(text)
    config["plugins"]["files"].append(str(tmp_path / "early.py"))
    config["train"]["steps"] = 3
    config["tracking"] = "off"
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    done = ebmcore_command("run", "c.yaml", "--json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["status"] == "FINISHED"


def test_a_second_ctrl_c_ends_at_once(started, config, tmp_path):
    # a step that takes half a minute: the first Ctrl-C waits for its end, the second doesn't
    process, folder = started(tracking="off", loss={"type": "parts:dawdles", "stall_at": 30})
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: list(folder.glob("checkpoints/step-*")), process)
    wait_for(lambda: (tmp_path / "stalled").exists(), process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 2
    assert process.returncode == 130
    assert json.loads(out)["status"] == facts(folder)["status"] == "KILLED"
    run = ebmcore.load(folder, plugins=config["plugins"]["files"])
    assert 0 < run.step < 30  # what SIGUSR1 had saved; the half-done step left nothing


def test_a_live_run_is_not_resumed(started, ebmcore_command, config):
    process, folder = started(tracking="off")
    done = ebmcore_command("resume", folder, "-p", config["plugins"]["files"][0])
    assert done.returncode == 2
    assert f"process {process.pid} on " in done.stderr
    assert "is writing this run" in done.stderr
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    listed = json.loads(ebmcore_command("runs", "list", "--json").stdout)
    (found,) = listed["runs"] if isinstance(listed, dict) else listed
    assert (found["status"], found["recorded_status"]) == ("KILLED", "RUNNING")
