"""`ebmcore check` and `plugins doctor` on parts that declare nonsense, exit, or fit no config."""

import json

import pytest
from ebmcore_testing.commands.doctor import examine

from ebmcore.plugins import Selection, find_selected

ENERGY = """
import sys, functools
from ebmcore import energy, hookimpl, loss, monitor, sampler

class Raises:
    def __get__(self, *_):
        raise RuntimeError("not here")

@energy
class bowl:
    {}
    def __init__(self, event_shape):
        {}
    def __call__(self, x):
        {}
        return 0.5 * x.square().flatten(1).sum(1)
"""


@pytest.fixture
def checked(command, tmp_path):
    """Check a file of this text; return the exit code and the document."""

    def check(text):
        (tmp_path / "mine.py").write_text(text)
        done = command("check", "./mine.py", "--json")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout)

    return check


def examined(file):
    """Examine a local file as `plugins doctor` does."""
    (plugin,) = [p for p in find_selected(Selection(files=(str(file),))) if p.found.is_file]
    return examine(plugin, 60)


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        ("check_params = 'abc'", "check_params should be a mapping of keys"),
        ("check_params = [3]", "or a list of mappings; got [3]"),
        ("check_params = 5", "or a list of mappings; got 5"),
        ("check_params = {1: 2}", "or a list of mappings; got {1: 2}"),
        ("check_params = Raises()", "check_params can't be read: RuntimeError: not here ("),
        ("expected_failures = ['shape']", "should be a mapping of checks to reasons"),
        ("expected_failures = 3", "should be a mapping of checks to reasons; got 3"),
        ("expected_failures = Raises()", "expected_failures can't be read: RuntimeError"),
        ("check_event_shapes = [2]", "check_event_shapes: event shapes should be a list of tuples"),
        ("check_event_shapes = 'ab'", "such as [(2,), (3, 8, 8)]; got 'ab'"),
        ("check_event_shapes = [(-1,)]", "got [(-1,)]"),
        ("check_event_shapes = Raises()", "check_event_shapes can't be read: RuntimeError"),
    ],
)
def test_a_wrong_declaration_is_a_failed_load(checked, fact, reason):
    code, found = checked(ENERGY.format(fact, "pass", "pass"))
    assert code == 1
    (load,) = found["checks"]
    assert (load["check"], load["result"]) == ("load", "failed")
    assert reason in load["reason"]


def test_a_part_that_exits_fails_its_checks(checked):
    code, found = checked(ENERGY.format("", "sys.exit(3)", "pass"))
    assert code == 1
    assert "SystemExit: 3" in found["checks"][0]["reason"]
    code, found = checked(ENERGY.format("", "pass", "sys.exit(3)"))
    assert code == 1
    failed = [c for c in found["checks"] if c["result"] == "failed"]
    assert len(failed) > 3
    assert "it raised SystemExit: 3" in failed[0]["failure"]["measured"]


def test_objects_of_other_types_are_checked(checked):
    text = """
from functools import partial
from ebmcore import hookimpl

def bowl(x, *, width=1.0):
    return 0.5 * width * x.square().flatten(1).sum(1)

class Bowl:
    def __call__(self, x):
        return bowl(x)

@hookimpl
def ebmcore_energies():
    return {"part": partial(bowl, width=2.0), "called": Bowl()}
"""
    code, found = checked(text)
    assert code == 0, found
    assert {c["component"] for c in found["checks"]} == {"mine:part", "mine:called"}
    assert "failed" not in found["counts"]


def test_a_link_to_a_file_is_checked(command, tmp_path):
    (tmp_path / "real.py").write_text(ENERGY.format("", "pass", "pass"))
    (tmp_path / "link.py").symlink_to("real.py")
    done = command("check", "./link.py", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["checks"][0]["component"] == "real:bowl"


CLASHES = """
from ebmcore import energy, loss, monitor, sampler

@energy
def bowl(x, *, type: int = 1): return x.square().flatten(1).sum(1)

@loss
def gap(energy, x, *, weight: float = 1.0, name: str = "a"): return energy(x).mean()

@monitor
def look(view, *, every: int = 3): return {}

@sampler
def walk(energy, x, generator, *, n_steps: int = 3): return x

@loss
def fine(energy, x, x_neg): return energy(x).mean() - energy(x_neg).mean()
"""


def test_parameters_with_the_cores_own_names_are_told_of(checked, tmp_path):
    code, found = checked(CLASHES)
    assert code == 1
    told = {c["component"]: c["reason"] for c in found["checks"] if c["check"] == "load"}
    assert set(told) == {"mine:bowl", "mine:gap", "mine:look", "mine:walk"}
    assert "no config can use it: a loss's key 'name', 'weight' is the core's" in told["mine:gap"]
    finding = examined(tmp_path / "mine.py")
    assert finding["status"] == "ok"
    assert sorted(finding["problems"]) == sorted(told.values())


def test_doctor_runs_nothing_of_the_current_folder(tmp_path):
    (tmp_path / "json.py").write_text("raise RuntimeError('from the current folder')")
    (tmp_path / "mine.py").write_text(ENERGY.format("", "pass", "pass"))
    finding = examined(tmp_path / "mine.py")
    assert (finding["status"], finding["problems"]) == ("ok", [])
