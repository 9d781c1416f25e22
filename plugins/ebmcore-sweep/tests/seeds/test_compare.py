"""`ebmcore runs diff` on groups of seeds: whether they differ by more than their spread."""

import json
import statistics

import pytest
from ebmcore_sweep.parent import Parent
from typer.testing import CliRunner

import ebmcore
from ebmcore.cli.main import app
from ebmcore.runs.parent_child import read_children
from support.runs import facts


@pytest.fixture
def group_of(config, monkeypatch):
    """Make a parent of real runs, trained one after the other in this process."""

    def make(seeds, **overrides):
        with Parent.begin("seeds", config, tracking=None, seeds=[*seeds]) as parent:
            for seed in seeds:
                with monkeypatch.context() as patch:
                    for name, value in parent.environment(f"seed-{seed}").items():
                        patch.setenv(name, value)
                    ebmcore.run(config, {"seed": seed, **overrides}, progress=False)
            parent.update(members=[f"seed-{seed}" for seed in seeds])
        return parent.path

    return make


def diff(*run_dirs):
    asked = ["runs", "diff", *map(str, run_dirs)]
    document = CliRunner().invoke(app, [*asked, "--json"])
    return json.loads(document.stdout), CliRunner().invoke(app, asked)


@pytest.mark.slow
def test_diff_compares_two_groups_with_their_spread(config, group_of):
    config["monitors"] = []
    config["loss"] = {"type": "parts:size"}  # the weights' square, which falls with each step
    del config["sampler"], config["chains"]
    slow, alike, fast = (
        group_of(range(4)),
        group_of(range(10, 14)),
        group_of(range(20, 24), **{"train.epochs": 8}),
    )
    found, shown = diff(slow, fast)
    size = found["metrics"]["loss"]
    values = {
        run: [facts(a.path)["metrics"]["loss"] for a in read_children(run)] for run in (slow, fast)
    }
    assert max(values[fast]) < min(values[slow])  # or this test tests nothing
    assert size["verdict"] == "differ"
    assert size["p"] == pytest.approx(2 / 70)
    assert size["a"]["median"] == statistics.median(values[slow])
    assert (size["b"]["low"], size["b"]["high"]) == (min(values[fast]), max(values[fast]))
    assert size["difference"] == pytest.approx(size["b"]["median"] - size["a"]["median"])
    assert size["low"] < size["difference"] < size["high"] < 0
    assert not any(name.startswith("train/") for name in found["metrics"])
    assert "4 v 4 runs can give 0.0286 at least" in shown.stdout
    found, _ = diff(slow, alike)
    assert found["metrics"]["loss"]["verdict"] == "not seen to differ"
    assert found["metrics"]["loss"]["low"] < 0 < found["metrics"]["loss"]["high"]

    few = group_of(range(30, 33), **{"train.epochs": 8})
    found, shown = diff(slow, few)
    assert found["metrics"]["loss"]["least_p"] == pytest.approx(2 / 35)
    assert found["metrics"]["loss"]["verdict"] == "too few to tell"
    assert "too few for any p < 0.05: 4 v 4 are enough" in shown.stdout

    inside = sorted(read_children(slow), key=lambda a: facts(a.path)["metrics"]["loss"])[1]
    found, shown = diff(inside.path, slow)
    assert found["metrics"]["loss"]["where"] == "within"
    assert found["metrics"]["loss"]["single"] == "A"
    assert "outside the range of 4 in 40% of cases" in shown.stdout
    found, _ = diff(slow, read_children(fast)[0].path)
    assert found["metrics"]["loss"]["where"] == "below all"


def test_a_group_of_which_nothing_has_finished_has_no_spread(config):
    with Parent.begin("seeds", config, tracking=None, seeds=[3, 4]) as parent:
        pass
    done = CliRunner().invoke(app, ["runs", "diff", str(parent.path), str(parent.path)])
    assert done.exit_code == 2
    assert "none of its runs has finished" in done.stderr
