"""A clock that somebody sets back, or forward and back: no run ends before it begins."""

import json
import time

import pytest

import ebmcore
from ebmcore.checkpoint.best import Best
from ebmcore.runs.clock import Clock
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.status import read_account

DAY = 86400.0
SETS = """
import time
from ebmcore import loss, monitor
@loss
def sets(energy, x, step, *, at: int = 4):
    if step in (at, at + 3):
        now, by = time.time, {by}
        time.time = lambda: now() + by
    return energy(x).mean()
@monitor
def nothing(view):
    return {{"value": float("nan"), "late": 1.0 if view.step > 3 else float("inf")}}
"""


@pytest.fixture
def set_back(config, tmp_path, monkeypatch):
    """A config of a run in which the clock goes back, and again."""
    monkeypatch.setattr(time, "time", time.time)  # put back afterwards
    (tmp_path / "sets.py").write_text(SETS.format(by=-DAY))
    config["plugins"]["files"].append(str(tmp_path / "sets.py"))
    config["loss"] = {"type": "sets"}
    config["train"] = {"steps": 12, "batch_size": 20, "log_every": 1, "checkpoint_every": "5 steps"}
    config["monitors"] = [{"type": "nothing", "every": "2 steps"}]
    return config


def stamps(run_dir, name):
    return [json.loads(line)["time"] for line in (run_dir / name).read_text().splitlines()]


def test_a_clock_counts_on_where_it_was(monkeypatch):
    real = time.time
    clock = Clock()
    first = clock()
    assert abs(first - real()) < 60
    monkeypatch.setattr(time, "time", lambda: real() - DAY)
    began = time.monotonic()
    second, third = clock(), clock()
    assert first <= second <= third <= first + time.monotonic() - began + 60
    monkeypatch.setattr(time, "time", lambda: real() + DAY)
    forward = clock()
    assert forward > third + DAY / 2
    monkeypatch.setattr(time, "time", real)
    assert clock() >= forward
    for nonsense in ("later", None, float("inf"), float("nan"), 10**400, True, [1]):
        clock.not_before(nonsense)
    assert clock() < forward + DAY
    clock.not_before(forward + 2 * DAY)
    assert clock() >= forward + 2 * DAY


def test_a_run_whose_clock_is_set_back_ends_after_it_began(set_back):
    run = ebmcore.run(set_back, progress=False)
    facts = json.loads((run.dir / "run.json").read_text())
    assert facts["started"] <= facts["ended"] < facts["started"] + DAY / 2
    assert 0 <= facts["seconds"] < DAY / 2
    times = stamps(run.dir, "metrics.jsonl")
    assert times == sorted(times)
    assert facts["started"] <= times[0] + 0.001
    account = read_account(run.dir)
    assert account.seconds == facts["seconds"]


def test_a_resumed_run_goes_on_after_its_last_line_of_metrics(set_back):
    set_back["loss"] = {"type": "parts:breaks", "at": 8}
    with pytest.raises(ebmcore.RunError) as failed:
        ebmcore.run(set_back, progress=False)
    run_dir = failed.value.run.dir
    before = stamps(run_dir, "metrics.jsonl")
    recorded = run_dir / "config.yaml"
    recorded.write_text(recorded.read_text().replace("at: 8", "at: -1"))
    now = time.time
    time.time = lambda: now() - DAY
    resumed = ebmcore.resume(run_dir, plugins=set_back["plugins"]["files"], progress=False)
    assert resumed.status == "FINISHED"
    times = stamps(run_dir, "metrics.jsonl")
    assert len(times) > len(before)
    assert times == sorted(times)
    assert before[0] <= stamps(run_dir, "events.jsonl")[0]
    facts = json.loads((run_dir / "run.json").read_text())
    assert facts["ended"] >= times[-1] - 0.001
    assert 0 <= facts["seconds"] < DAY / 2


@pytest.mark.plugins
def test_a_parent_under_a_clock_that_is_set_back(tmp_path, monkeypatch):
    from ebmcore_sweep.parent import Parent

    real = time.time
    with Parent.begin("seeds", {"name": "p"}, tracking=None, runs_dir=tmp_path) as parent:
        monkeypatch.setattr(time, "time", lambda: real() - DAY)
        parent.write(1, {"loss": 1.0})
    facts = parent.directory.read()
    assert facts["started"] <= facts["ended"]
    assert 0 <= facts["seconds"] < 60 * 60
    (stamp,) = stamps(parent.path, "metrics.jsonl")
    assert stamp >= facts["started"] - 0.001


def test_an_end_before_the_start_is_never_recorded(tmp_path):
    directory = RunDirectory.create("run", tmp_path)
    directory.update(status="RUNNING", started=1000.0)
    directory.update(status="KILLED", ended=10.0)
    assert directory.read()["ended"] == 1000.0
    directory.lock.release()


@pytest.mark.slow
def test_mlflow_is_told_no_end_before_the_start(set_back, store, tmp_path):
    set_back["tracking"] = {"experiment": "clocks", "checkpoints": "none"}
    run = ebmcore.run(set_back, progress=False)
    seen = store.get_run(run.mlflow_run_id).info
    assert seen.start_time <= seen.end_time < seen.start_time + 1000 * DAY / 2


def test_a_metric_that_was_always_nan_is_no_best_and_says_so(set_back):
    set_back["train"]["keep_best"] = "nothing/value"
    run = ebmcore.run(set_back, progress=False)
    (warning,) = [text for text in run.warnings if "keep_best" in text]
    assert warning == (
        "train.keep_best: 'nothing/value' was recorded 6 times and was never a finite number "
        "(last: nan at step 12), so there is no best checkpoint"
    )
    assert json.loads((run.dir / "run.json").read_text())["best"] is None


def test_a_metric_that_was_not_recorded_is_told_apart(set_back):
    set_back["train"]["keep_best"] = "nothing/value2"
    (warning,) = [t for t in ebmcore.run(set_back, progress=False).warnings if "keep_best" in t]
    assert "no metric 'nothing/value2' was recorded; there are: " in warning
    assert "nothing/value" in warning


@pytest.mark.parametrize("wanted", ["x", "max x"])
def test_numbers_that_are_none_are_no_best(wanted):
    best = Best(wanted)
    for step, value in enumerate((float("nan"), float("inf"), -float("inf"))):
        assert not best.update(step, {"x": value})
    history = {"x": [(0, float("nan")), (1, float("inf")), (2, -float("inf"))]}
    assert "'x' was recorded 3 times and was never a finite number (last: -inf at step 2)" in (
        best.why_none(history)
    )
    assert "'x' was recorded once" in best.why_none({"x": [(0, float("nan"))]})
    assert best.update(3, {"x": 5.0})
