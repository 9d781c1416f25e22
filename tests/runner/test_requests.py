"""Requests of callbacks and hooks: metrics and files that they log, warnings, and refusals."""

import json
import math
import os
import time

import numpy as np
import pytest
import torch

import ebmcore
from ebmcore import Callback, EbmError
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from support.runs import change, cut, facts, go, lines, resume


@pytest.fixture
def at_start(config):
    """Train with a callback that does something when the run starts; return the run."""

    def go(act, tracking="off", **train):
        config["train"] = {"steps": 2, "batch_size": 20, "log_every": 1} | train
        config["monitors"][0]["every"] = "end"
        experiment = compose(*prepare(config))
        acts = type("Acts", (Callback,), {"on_start": lambda self, run: act(run)})()
        experiment.callbacks = experiment._callbacks([acts])
        return experiment.run(tracking=tracking, progress=False, **config["train"])

    return go


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        (2, 2.0),
        (np.float32(0.5), 0.5),
        (torch.tensor(3.0, requires_grad=True), 3.0),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
    ids=["int", "numpy", "tensor", "nan", "-inf"],
)
def test_a_number_is_logged_at_the_runs_step(at_start, value, recorded):
    run = at_start(lambda run: run.log_metric("mine/it", value))
    assert run.warnings == []
    assert lines(run.dir)[0] == {"step": 0, "epoch": 0.0, "mine/it": recorded}
    assert facts(run.dir)["metrics"]["mine/it"] == recorded


@pytest.mark.parametrize("value", ["1.0", None, True, 1j, [1.0], torch.ones(1)], ids=repr)
def test_a_value_that_is_no_number_is_refused(at_start, value):
    run = at_start(lambda run: run.log_metric("mine", value))
    (warning,) = run.warnings
    assert "Acts" in warning
    assert "raised TypeError: mine: should be a real number; got" in warning
    assert "mine" not in run.metrics


@pytest.mark.parametrize(
    "name", ["loss", "loss/gap", "train/lr", "looks/mean", "step", "epoch", "time"]
)
def test_the_runs_own_names_are_refused(at_start, name):
    (warning,) = at_start(lambda run: run.log_metric(name, 1.0)).warnings
    assert f"ValueError: the metric {name!r} is one of the run's own" in warning
    assert "looks/" in warning


@pytest.mark.parametrize("name", ["", " a", "a\nb", "a*", "/a", "é", "a" * 251, 3], ids=repr)
def test_a_bad_name_is_refused(at_start, name):
    (warning,) = at_start(lambda run: run.log_metric(name, 1.0)).warnings
    assert "ValueError: a metric's name should be up to 250" in warning


def test_the_first_value_of_a_step_stays(at_start):
    def twice(run):
        run.log_metric("mine", 1.0)
        run.log_metric("mine", 2.0)
        run.log_metric("mine", 3.0)

    run = at_start(twice)
    assert [line["mine"] for line in lines(run.dir) if "mine" in line] == [1.0]
    assert run.warnings == ["mine was logged twice at step 0; the first value stays"]


def test_a_resumed_run_stores_no_value_twice(config, tmp_path):
    (tmp_path / "hooked.py").write_text(
        "from ebmcore import hookimpl\n"
        "@hookimpl\n"
        "def ebmcore_run_start(run):\n"
        "    run.log_metric('begun', run.step)\n"
        "@hookimpl\n"
        "def ebmcore_checkpoint(run):\n"
        "    run.log_metric('saved', run.step)\n"
    )
    config["plugins"]["files"].append(str(tmp_path / "hooked.py"))
    config["train"] |= {"checkpoint_every": "7 steps", "keep_checkpoints": 9}
    whole = go(config)
    killed = cut(whole, 7)
    for _ in range(2):
        again = resume(killed, config)
        change(killed / "run.json", status="KILLED")
    logged = [(line["step"], name) for line in lines(again.dir) for name in line]
    logged = [entry for entry in logged if entry[1] in ("begun", "saved")]
    later = [(14, "saved"), (18, "saved"), (18, "begun")]
    assert logged == [(0, "begun"), (7, "saved"), (7, "begun"), *later]
    assert again.warnings == []


def test_a_file_is_copied_to_the_run(at_start, tmp_path):
    report = tmp_path / "report.txt"

    def act(run):
        report.write_text("first")
        assert run.log_artifact("report.txt") == run.dir / "artifacts" / "report.txt"
        report.write_text("second")
        run.log_artifact(report)
        run.log_artifact(report, "other name.txt")
        run.warn("look here")

    run = at_start(act)
    report.unlink()
    found = {f.name: f.read_text() for f in (run.dir / "artifacts").iterdir()}
    assert found == {"report.txt": "second", "other name.txt": "second"}
    assert run.warnings == facts(run.dir)["warnings"] == ["look here"]


@pytest.mark.parametrize(
    ("path", "name", "message"),
    [
        ("file", "../up", "ValueError: an artifact's name"),
        ("file", "a/b", "ValueError: an artifact's name"),
        ("file", ".hidden", "ValueError: an artifact's name"),
        ("file", "", "ValueError: an artifact's name"),
        ("missing", None, "EbmError: can't copy"),
        ("folder", None, "EbmError: can't copy"),
        ("link", None, "EbmError: can't copy"),
        ("pipe", None, "EbmError: can't copy"),
    ],
)
def test_a_file_that_is_none_is_refused(at_start, tmp_path, path, name, message):
    (tmp_path / "file").write_text("secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    run = at_start(lambda run: run.log_artifact(path, name))
    (warning,) = run.warnings
    assert message in warning
    assert not list(run.dir.rglob("artifacts/*"))


def test_no_link_in_the_run_leads_a_copy_astray(at_start, tmp_path):
    (tmp_path / "file").write_text("mine")
    victim = tmp_path / "victim"
    victim.write_text("theirs")

    def act(run):
        (run.dir / "artifacts").mkdir()
        (run.dir / "artifacts" / "file").symlink_to(victim)
        run.log_artifact("file")

    (warning,) = at_start(act).warnings
    assert "EbmError: can't copy" in warning
    assert victim.read_text() == "theirs"


@pytest.mark.parametrize("reason", ["", "  ", None, 3])
def test_a_stop_without_a_reason_is_refused(at_start, reason):
    run = at_start(lambda run: run.stop(reason))
    assert (run.step, run.stopped) == (2, "")
    assert "ValueError: a run stops for a reason" in run.warnings[0]


def test_a_run_that_does_not_train_takes_no_requests(at_start):
    run = at_start(lambda run: None)
    opened = ebmcore.load(run.dir, energy=run.energy)
    asked = {"log_metric": ("mine", 1.0), "log_artifact": ("f",), "stop": ("now",), "warn": ("x",)}
    for one in (run, opened):
        for method, arguments in asked.items():
            with pytest.raises(EbmError, match="isn't training in this process, or it has closed"):
                getattr(one, method)(*arguments)


def test_trackers_get_it_all_and_the_run_knows_its_id(at_start, store, tmp_path):
    (tmp_path / "report.txt").write_text("all is well")
    seen = []

    def act(run):
        run.log_metric("mine", 1.5)
        run.log_artifact("report.txt")
        until = time.monotonic() + 60
        while run.mlflow_run_id is None and time.monotonic() < until:
            time.sleep(0.02)
        seen.append(run.mlflow_run_id)
        run.stop("enough")

    run = at_start(act, tracking=f"sqlite:///{tmp_path}/mlflow.db", steps=9)
    assert run.warnings == []
    assert seen == [run.mlflow_run_id]
    assert [(m.step, m.value) for m in store.get_metric_history(seen[0], "mine")] == [(0, 1.5)]
    assert [f.path for f in store.list_artifacts(seen[0], "artifacts")] == ["artifacts/report.txt"]
    found = store.get_run(seen[0])
    assert found.info.status == "FINISHED"
    event = json.loads(found.data.tags["ebmcore.event.001"])
    assert (event["event"], event["why"]) == ("stopped", "enough")
