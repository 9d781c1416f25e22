"""`ebmcore evaluate`: monitors on a finished run."""

import json
import re

import pytest
import torch

import ebmcore
from ebmcore import EbmError

JUDGES = '''
import torch
from ebmcore import monitor

@monitor
class judge:
    """What evaluate runs by itself."""

    evaluates = True

    def check(self, event_shape):
        if event_shape != (2,):
            raise ValueError("takes planes alone")

    def __call__(self, view):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(1, 1))
        view.warn("seen")
        trace = view.trace(4, 6, 3)
        return {
            "held_out": view.held_out.sum(),
            "data": view.data.sum(),
            "samples": view.sample(20).sum(),
            "trace": trace.x.sum(),
            "kept": len(trace.x),
            "epoch": view.epoch,
            "figure": figure,
        }

@monitor
class narrow:
    """What can't take these events."""

    evaluates = True

    def check(self, event_shape):
        raise ValueError("not for such events")

@monitor
def falls(view):
    """Raise."""
    raise ZeroDivisionError("over")
'''


@pytest.fixture
def finished(config, tmp_path):
    """A run, and the plugin files that it needs."""
    (tmp_path / "judges.py").write_text(JUDGES)
    run = ebmcore.run(config, progress=False)
    # without our own monitors, which are meant for it too where they are installed
    return run, [*config["plugins"]["files"], str(tmp_path / "judges.py"), "no:monitors"]


def test_what_is_meant_for_it_is_run_and_written(finished):
    run, files = finished
    found = ebmcore.evaluate(run.dir, plugins=files)
    assert found.metrics["judge/kept"] == 2
    assert found.metrics["judge/epoch"] == 2
    assert found.warnings == ["judge: seen"]
    assert found.left_out["narrow"] == "not for such events"
    assert found.failed == {}
    assert [f.relative_to(run.dir).as_posix() for f in found.figures] == [
        f"evaluation/judge/step-{run.step:08d}.png"
    ]
    assert all(figure.is_file() for figure in found.figures)
    written = json.loads((run.dir / "evaluation" / "evaluation.json").read_text())
    assert written == found.document()


def test_monitors_share_their_samples(finished):
    run, files = finished

    def found(*names, seed=0):
        monitors = [{"type": "judge", "name": name} for name in names]
        return ebmcore.evaluate(run.dir, {"monitors": monitors}, plugins=files, seed=seed).metrics

    both, alone = found("first", "second"), found("second")
    assert both["first/samples"] == both["second/samples"] == alone["second/samples"]
    assert both["first/trace"] != both["second/trace"] == alone["second/trace"]
    assert found("second", seed=1)["second/samples"] != alone["second/samples"]


def test_monitors_of_samples_are_left_out_without_a_sampler(config, tmp_path):
    (tmp_path / "judges.py").write_text(JUDGES)
    del config["sampler"], config["chains"]
    config["loss"], config["monitors"] = "size", []
    run = ebmcore.run(config, progress=False)
    files = [*config["plugins"]["files"], str(tmp_path / "judges.py"), "no:monitors"]
    found = ebmcore.evaluate(run.dir, plugins=files)
    assert found.failed == {}
    assert "no sampler" in found.left_out["judge"]
    named = ebmcore.evaluate(run.dir, {"monitors": ["judge"]}, plugins=files)
    assert "no sampler" in named.failed["judge"]


def test_a_directory_that_takes_no_folder_is_told_of(finished):
    run, files = finished
    (run.dir / ".evaluation.part").write_text("in the way")
    with pytest.raises(EbmError, match=r"\.evaluation\.part: can't be made: File exists"):
        ebmcore.evaluate(run.dir, plugins=files)


def test_it_repeats_and_the_seed_is_the_samples(finished):
    run, files = finished
    one, two, three = (ebmcore.evaluate(run.dir, plugins=files, seed=s).metrics for s in (0, 0, 1))
    assert one == two
    assert one["judge/data"] == three["judge/data"]
    assert one["judge/samples"] != three["judge/samples"]


def test_the_data_are_split_as_they_were(finished, config):
    run, files = finished
    found = ebmcore.evaluate(run.dir, plugins=files).metrics
    from ebmcore.runner.api import prepare
    from ebmcore.runner.compose import compose

    data = compose(*prepare(config)).data
    assert found["judge/data"] == float(data.x.sum())
    assert found["judge/held_out"] == float(data.held_out.sum())


def test_other_monitors_sampler_and_chains(finished):
    run, files = finished
    overrides = {"monitors": ["judge"], "sampler.step_size": 0.2, "chains.size": 60}
    found = ebmcore.evaluate(run.dir, overrides, plugins=files)
    assert set(found.left_out) == set()
    assert (
        found.metrics["judge/samples"]
        != ebmcore.evaluate(run.dir, plugins=files).metrics["judge/samples"]
    )
    with pytest.raises(EbmError, match=r"monitors\.0: not for such events"):
        ebmcore.evaluate(run.dir, {"monitors": ["narrow"]}, plugins=files)


def test_a_monitor_that_fails_is_exit_code_1(finished, ebmcore_command):
    run, files = finished
    options = [part for file in files for part in ("-p", file)]
    done = ebmcore_command("evaluate", run.dir, "monitors=[falls, judge]", *options, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert re.search(
        r"monitor 'judges:falls' .* raised ZeroDivisionError: over", found["failed"]["falls"]
    )
    assert "judge/kept" in found["metrics"]
    assert "ZeroDivisionError" in (run.dir / "evaluation" / "log.txt").read_text()


def test_files_are_not_imported_unasked(finished):
    run, _ = finished
    with pytest.raises(EbmError, match=r"If you trust them, add -p .*plugins/parts.py"):
        ebmcore.evaluate(run.dir)


def test_objects_cannot_be_evaluated():
    energy = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    run = ebmcore.Experiment(
        data=torch.randn(40, 2), energy=energy, loss=lambda energy, x: energy(x).mean()
    ).run(steps=2, batch_size=8, tracking="off", progress=False)
    with pytest.raises(EbmError, match="made of objects"):
        ebmcore.evaluate(run.dir)


TROUBLE = """
from ebmcore import monitor

@monitor
class judge:
    evaluates = True

    def __call__(self, view):
        return {"two": 2.0}

@monitor
class needy:
    evaluates = True

    def __init__(self, *, level: float):
        self.level = level

@monitor
class refuses:
    evaluates = True

    def __init__(self):
        raise ValueError("not today")

@monitor
class falls_over:
    evaluates = True

    def check(self, event_shape):
        raise RuntimeError("check itself")
"""


def test_one_strangers_monitor_stops_no_other(finished, tmp_path):
    run, files = finished
    (tmp_path / "trouble.py").write_text(TROUBLE)
    found = ebmcore.evaluate(run.dir, plugins=[*files, str(tmp_path / "trouble.py")])
    assert found.metrics["judges.judge/kept"] == 2
    assert found.metrics["trouble.judge/two"] == 2
    assert found.left_out["needy"] == "missing; it has no default"
    assert "not today" in found.left_out["refuses"]
    assert found.left_out["falls_over"] == "check itself"


@pytest.mark.parametrize(
    ("key", "hint"), [("montiors", "Did you mean 'monitors'?"), ("train.epochs", "There are: mon")]
)
def test_only_what_matters_can_be_set(finished, key, hint):
    run, files = finished
    with pytest.raises(EbmError, match=rf"override {key}: can't be set .*{hint}"):
        ebmcore.evaluate(run.dir, {key: 3}, plugins=files)


def test_what_is_in_the_way_is_told_and_left(finished):
    run, files = finished
    (run.dir / "evaluation").write_text("mine")
    with pytest.raises(EbmError, match="is in the way"):
        ebmcore.evaluate(run.dir, plugins=files)
    assert (run.dir / "evaluation").read_text() == "mine"
    assert not list(run.dir.glob(".evaluation*"))
