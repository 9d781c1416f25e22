"""A user's words for a run: a path, or `last`."""

import json
import os
from pathlib import Path

import pytest

from ebmcore import EbmError
from ebmcore.runner import run_directory


def record(folder, **facts):
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


def test_last_is_the_newest_run_that_the_user_started(tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    with pytest.raises(EbmError, match="last: the folder runs can't be read"):
        run_directory("last")
    runs.mkdir()
    (runs / "notes.txt").write_text("no run")
    record(runs / "broken", started="soon")
    record(runs / "odd", started=float("inf"))
    parent = {"name": "gone-sweep", "run_dir": "/tmp/gone-sweep", "key": "trial-1"}
    record(runs / "of-a-parent", started=99.0, parent=parent)
    with pytest.raises(EbmError, match="last: there is no run in runs; EBMCORE_RUNS_DIR names"):
        run_directory("last")

    record(runs / "zeta", started=20.0)
    record(runs / "alpha", started=30.5)
    seeds = record(runs / "seeds", started=40.0, group="seeds")
    record(runs / "child", started=41.0, parent={"name": "seeds", "key": "seed-1"})
    assert run_directory("last") == Path("runs/seeds")
    seeds.rename(tmp_path / "seeds")
    assert run_directory("last") == Path("runs/alpha")
    os.utime(runs / "zeta")  # what is written later to an older run makes it no newer one
    assert run_directory("last") == Path("runs/alpha")

    monkeypatch.setenv("EBMCORE_RUNS_DIR", str(tmp_path / "other"))
    record(tmp_path / "other" / "elsewhere", started=1.0)
    assert run_directory("last") == tmp_path / "other" / "elsewhere"


def test_a_path_means_itself(tmp_path):
    named = record(tmp_path / "runs" / "alpha", started=1.0)
    assert run_directory("runs/alpha") == Path("runs/alpha")
    assert run_directory(named) == named
    (tmp_path / "last").mkdir()  # a folder that is no run is not meant
    assert run_directory("last") == Path("runs/alpha")
    assert run_directory(Path("last")) == run_directory("./last") == Path("last")
    record(tmp_path / "last" / "inner", started=1.0).joinpath("run.json").rename("last/run.json")
    assert run_directory("last") == Path("last")


@pytest.mark.parametrize("text", ["nowhere", "x" * 5000, "a\0b"], ids=["missing", "long", "null"])
def test_a_path_that_is_missing_is_refused(text):
    with pytest.raises(EbmError, match=r"no run directory \(there is no such folder\)$"):
        run_directory(text)


def test_the_name_of_a_run_leads_to_its_path(tmp_path):
    record(tmp_path / "runs" / "alpha", started=1.0)
    with pytest.raises(EbmError, match=r"such folder\); did you mean runs/alpha"):
        run_directory("alpha")
