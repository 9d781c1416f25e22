"""Every tracker may be down, hang or refuse, and has each point once.

The same cases run with MLflow, with TensorBoard, and with a small table in sqlite.
"""

import resource
import shutil
import time

import pytest

from ebmcore import Tracker
from ebmcore.trackers import Followers, as_trackers, tracked_run
from ebmcore.trackers.state import recorded
from support.servers import wait_until
from support.tracking import Case, Table, follow, points, write


@pytest.fixture(
    params=[
        "table",
        pytest.param("tensorboard", marks=pytest.mark.plugins),
        pytest.param("mlflow", marks=pytest.mark.slow),
    ]
)
def case(request, tmp_path):
    if request.param == "mlflow":
        request.getfixturevalue("store")
    return Case(request.param, tmp_path)


def test_each_point_arrives_once_after_a_kill_and_a_resume(case, directory):
    """Its last lines are cut off and written again, with other times, as `resume` does."""
    write(directory, range(100))
    assert follow(directory, case.make()).finish("KILLED", 60) == []
    kept = directory.metrics_file.read_text().splitlines(keepends=True)[:60]
    directory.metrics_file.write_text("".join(kept))
    write(directory, range(60, 80))
    second = follow(directory, case.make())
    write(directory, range(80, 700))
    assert second.finish("FINISHED", 60) == []
    assert case.held(directory) == points(directory)
    assert points(directory).total() == 1400
    (entry,) = as_trackers(case.make())
    assert recorded(directory.read(), entry.name)["state"] == "complete"


def test_down_from_the_start_it_is_a_warning_and_comes_back(case, directory):
    aside = case.folder / "aside"
    if case.file.exists():
        case.file.rename(aside)
    if case.kind == "tensorboard":
        case.file.write_text("a file stands where the folder should be")
    else:
        case.file.mkdir()
    write(directory, range(10))
    began = time.monotonic()
    (warning,) = follow(directory, case.make()).finish("FINISHED", 60)
    assert time.monotonic() - began < 40
    assert "mirror is not complete" in warning
    assert "20 points and 0 pictures were not sent" in warning
    assert f"ebmcore runs sync {directory.path}" in warning
    (entry,) = as_trackers(case.make())
    assert recorded(directory.read(), entry.name)["state"] == "behind"
    if case.kind == "tensorboard":
        case.file.unlink()
    else:
        case.file.rmdir()
    if aside.exists():
        aside.rename(case.file)
    assert follow(directory, case.make()).finish("FINISHED", 60) == []
    assert case.held(directory) == points(directory)


@pytest.mark.parametrize("kind", ["table", pytest.param("tensorboard", marks=pytest.mark.plugins)])
def test_full_in_the_midst_of_a_run_it_gets_the_rest_later(kind, directory, tmp_path):
    """No file may grow beyond a few pages, which tears a record; the run goes on."""
    case = Case(kind, tmp_path)
    write(directory, range(2000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        followers = follow(directory, case.make())
        wait_until(lambda: "trying again until it works" in log(directory))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert followers.finish("FINISHED", 60) == []
    assert "works again" in log(directory)
    assert case.held(directory) == points(directory)


def log(directory):
    file = directory.path / "log.txt"
    return file.read_text() if file.exists() else ""


@pytest.mark.plugins
def test_deleted_files_are_written_again(directory, tmp_path):
    case = Case("tensorboard", tmp_path)
    write(directory, range(5))
    followers = follow(directory, case.make())
    wait_until(lambda: case.file.exists() and case.held(directory).total() == 10)
    shutil.rmtree(case.file)
    write(directory, range(5, 10))
    assert followers.finish("FINISHED", 60) == []
    assert case.held(directory) == points(directory)


def test_a_lost_answer_sends_no_point_twice(directory, tmp_path):
    table = Table(tmp_path / "table.db")
    table.forgets = (1, 3)
    write(directory, range(1200))
    assert follow(directory, table).finish("FINISHED", 60) == []
    assert Case("table", tmp_path).held(directory) == points(directory)


def test_a_refused_metric_holds_no_other_back(directory, tmp_path):
    table = Table(tmp_path / "table.db")
    table.refuses = "monitor/one"
    write(directory, range(20))
    (warning,) = follow(directory, table).finish("FINISHED", 60)
    assert "table refused 1 of what it was sent, such as metric monitor/one: " in warning
    assert {name for name, _ in Case("table", tmp_path).held(directory)} == {"loss"}


def test_a_hanging_tracker_is_left_and_delays_no_other(directory, tmp_path):
    hanging, other = Table(tmp_path / "hanging.db"), Table(tmp_path / "table.db")
    hanging.patience = 0.3
    hanging.is_hanging.set()
    write(directory, range(10))
    run = tracked_run(directory, directory.read(), config={})
    entries = as_trackers([hanging])[0]._replace(name="hanging"), *as_trackers([other])
    followers = Followers(directory, entries, run, pytest.fail, wait=False)
    (warning,) = followers.finish("FINISHED", 60)
    hanging.is_hanging.clear()
    assert "the hanging mirror is not complete" in warning
    assert "no answer within" in warning
    assert Case("table", tmp_path).held(directory) == points(directory)
    states = {name: facts["state"] for name, facts in directory.read()["trackers"].items()}
    assert states == {"hanging": "behind", "table": "complete"}


class Broken(Tracker):
    """It raises where nothing should, and can't be described."""

    def __init__(self, at):
        self.at = at

    def begin(self, run):
        if self.at == "begin":
            raise SystemExit(3)

    def record(self):
        if self.at == "record":
            raise ValueError("no record")
        return {}

    @property
    def notes(self):
        raise OSError("no notes")


@pytest.mark.parametrize("at", ["begin", "record", "end"])
def test_a_broken_tracker_is_a_warning(directory, at):
    warnings = []
    found = follow(directory, Broken(at), warnings.append).finish("FINISHED")
    (warning,) = warnings + found
    start = {"begin": "nothing is sent to broken: SystemExit: 3",
             "record": "nothing is sent to broken: ValueError: no record",
             "end": "the broken mirror is not complete: OSError: no notes"}[at]  # fmt: skip
    assert warning.startswith(start)
