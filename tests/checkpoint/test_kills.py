"""SIGKILL at random moments: the resumed run ends with the same bits, here and in MLflow."""

import contextlib
import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from support import MORE, STREAMS
from support.runs import assert_same, go

BEGIN = """
import json, pathlib, ebmcore
ebmcore.run(json.loads(pathlib.Path("c.json").read_text()), progress=False)
"""
GO_ON = """
import sys, ebmcore
ebmcore.resume(sys.argv[1], plugins=sys.argv[2:], progress=False)
"""


@pytest.fixture
def begin_python(forks, tmp_path):
    """Begin code in a fork of a process that has imported MLflow."""
    begun = []

    def begin(code, *arguments):
        begun.append(forks.begin("-c", code, *arguments, cwd=tmp_path, env=dict(os.environ)))
        return begun[-1]

    yield begin
    for child in begun:
        child.close()


@pytest.mark.slow
def test_kills_at_random_moments(config, store, begin_python, tmp_path):
    """SIGKILL at random moments, real processes, MLflow on: nothing is lost, nothing is twice."""
    config["train"] |= {"steps": 750, "log_every": 12, "checkpoint_every": "20 steps"}
    config["monitors"][0]["every"] = "150 steps"
    config["lr_scheduler"]["milestones"] = [300, 550]
    config["callbacks"] = [{"type": "totals", "stop_after": 56}]
    config["tracking"] = {"experiment": "killed"}
    config["plugins"]["files"].append(str(STREAMS))
    (tmp_path / "readers").mkdir()
    reads = {"type": "items", "draws": True, "note": str(tmp_path / "readers")}
    config["data"] |= {**reads, "loader": {"workers": 1}}
    whole = go(config)
    (tmp_path / "c.json").write_text(json.dumps({**config, "name": "killed"}))

    choose = random.Random(7)
    kills: list[int] = []  # the last checkpoint's step at each
    child = begin_python(BEGIN)
    while len(kills) < (14 if MORE else 9) and child.poll() is None:
        if choose.random() < 0.7:  # in the midst of training, else at any moment of its beginning
            _wait_for_progress(tmp_path, child)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(choose.uniform(0.0, 0.5))
            break
        child.kill()
        child.wait()
        kills.append(_reached(tmp_path))
        child = _go_on(begin_python, tmp_path, config["plugins"]["files"])
    assert child.wait() == 0
    assert len(kills) >= 7
    assert len(set(kills)) >= 4, kills  # they were spread over the run
    readers = {int(file.name) for file in (tmp_path / "readers").iterdir()} - {os.getpid()}
    assert len(readers) > len(kills)
    assert not any(map(_lives, readers))
    (folder,) = tmp_path.glob("runs/killed-*")
    assert_same(whole.dir, folder)
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["status"], facts["step"]) == ("FINISHED", 672)
    assert facts["stopped"] == "56 records are enough"
    run_id = facts["mlflow"]["run_id"]
    assert store.get_run(run_id).info.status == "FINISHED"
    written = {
        (name, line["step"])
        for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        for name in line
        if name not in ("step", "epoch", "time")
    }
    names = {name for name, _ in written}
    sent = [(n, m.step) for n in names for m in store.get_metric_history(run_id, n)]
    assert len(sent) == len(set(sent))
    assert set(sent) == written
    experiment = store.get_experiment_by_name("killed").experiment_id
    assert len(store.search_runs([experiment])) == 2  # the whole one and the killed one


def _lives(pid):
    """Say whether a process lives; one that was orphaned has a moment to end."""
    until = time.monotonic() + 10
    while (there := Path(f"/proc/{pid}").exists()) and time.monotonic() < until:
        time.sleep(0.01)
    return there


def _reached(folder):
    found = sorted(folder.glob("runs/killed-*/checkpoints/step-*"))
    return int(found[-1].name[5:]) if found else 0


def _wait_for_progress(folder, child):
    before, until = _reached(folder), time.monotonic() + 30
    while _reached(folder) == before and child.poll() is None and time.monotonic() < until:
        time.sleep(0.01)


def _go_on(begin_python, folder, plugins):
    found = sorted(folder.glob("runs/killed-*/run.json"))
    if not found or not (found[0].parent / "config.yaml").exists():
        for place in folder.glob("runs/killed-*"):  # killed before there was anything to go on from
            place.rename(folder / f"stillborn-{time.monotonic_ns()}")
        return begin_python(BEGIN)
    return begin_python(GO_ON, found[0].parent, *plugins)
