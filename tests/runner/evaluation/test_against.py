"""`ebmcore evaluate --against`: other data beside the run's own."""

import json

import pytest

import ebmcore
from ebmcore import ConfigError, EbmError

OTHERS = '''
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ebmcore import dataset, monitor

@dataset
class table:
    """Rows of two numbers, from a file of text, times a factor."""

    def __init__(self, *, path: str, factor: float = 1.0):
        self.path = path
        self.factor = factor

    def like(self, path):
        if path.suffix != ".txt":
            raise ValueError(f"{path.name}: not a .txt")
        return table(path=str(path), factor=self.factor)

    def __call__(self):
        rows = [line.split() for line in Path(self.path).read_text().splitlines()]
        return self.factor * torch.tensor([[float(cell) for cell in row] for row in rows])

@dataset
def drawn(*, n: int, scale: float):
    """Points from torch's global generator."""
    return scale * torch.randn(n, 2)

@monitor
class out_of_distribution:
    """Tell what it was given."""

    def __init__(self, *, against: Callable[[], Any]):
        self.against = against

    def check(self, event_shape, read):
        self.x, (self.y, _) = read(self.against)

    def __call__(self, view):
        found = {"sum": self.x.sum(), "points": len(self.x), "there": len(view.held_out)}
        return found if self.y is None else {**found, "odd": self.y.sum()}
'''


@pytest.fixture
def finished(config, tmp_path):
    """A run of a table, and the options that evaluate it with our monitor and dataset alone."""
    (tmp_path / "others.py").write_text(OTHERS)
    rows = "\n".join(f"{i} {-i / 2}" for i in range(40))
    (tmp_path / "rows.txt").write_text(rows)
    (tmp_path / "new.txt").write_text("1 2\n3 4\n5 6")
    (tmp_path / "wide.txt").write_text("1 2 3")
    (tmp_path / "rows.csv").write_text("1,2")
    files = [*config["plugins"]["files"], str(tmp_path / "others.py")]
    config["plugins"]["files"] = files
    config["data"] = {"type": "others:table", "path": "rows.txt", "factor": 0.1}
    run = ebmcore.run(config, progress=False)
    return run, [*files, "no:monitors"]


def test_a_file_is_read_as_the_runs_own_and_a_node_as_it_is(finished):
    run, files = finished
    node = {"type": "others:drawn", "n": 7, "scale": 2.0}
    found = ebmcore.evaluate(run.dir, plugins=files, against="new.txt").metrics
    assert found == {
        "out_of_distribution/sum": pytest.approx(2.1),
        "out_of_distribution/points": 3,
        "out_of_distribution/there": 4,
    }
    several = [
        ebmcore.evaluate(run.dir, plugins=files, against=["new.txt", node, node]).metrics
        for _ in range(2)
    ]
    assert several[0] == several[1]
    names = ["new", "others-drawn", "others-drawn-2"]
    assert {f"out_of_distribution.{name}/points" for name in names} < set(several[0])
    assert several[0]["out_of_distribution.others-drawn/points"] == 7


def test_the_command_takes_files_and_nodes(finished, ebmcore_command):
    run, files = finished
    options = [part for file in files for part in ("-p", file)]
    for other, points in (("new.txt", 3), ("{type: others:drawn, n: 5, scale: 1.}", 5)):
        done = ebmcore_command("evaluate", run.dir, "--against", other, *options, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["metrics"]["out_of_distribution/points"] == points
    written = json.loads((run.dir / "evaluation" / "evaluation.json").read_text())
    assert written["metrics"]["out_of_distribution/points"] == 5


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ("wide.txt", r"against.0: an event of the other dataset has shape \[3\]"),
        ("missing.txt", "against: missing.txt: no such file"),
        ("rows.csv", r"against: rows.csv: .*not a .txt"),
        ({"type": "others:drwan"}, r"against\.0\.type: .*Did you mean 'drawn'"),
        ({"type": "others:drawn", "n": 5}, r"against\.0\.scale: missing"),
        ({"n": 5}, r"against\.0: has no `type`"),
    ],
    ids=str,
)
def test_other_data_that_do_not_fit_are_refused(finished, against, message):
    run, files = finished
    with pytest.raises(ConfigError, match=message):
        ebmcore.evaluate(run.dir, plugins=files, against=against)
    assert not (run.dir / "evaluation").exists()


def test_a_label_is_for_files_that_take_one(finished):
    run, files = finished
    with pytest.raises(ConfigError, match=r"new\.txt: dataset table takes no name for the labels"):
        ebmcore.evaluate(run.dir, plugins=files, against="new.txt", label="fault")
    with pytest.raises(ConfigError, match="label: names a column of a file, and `against` has no"):
        ebmcore.evaluate(run.dir, plugins=files, label="fault")


@pytest.mark.plugins
def test_the_dataset_file_reads_for_one_that_has_no_like(config, tmp_path):
    (tmp_path / "others.py").write_text(OTHERS)
    (tmp_path / "new.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "odd.csv").write_text("a,b,fault\n1,2,1\n3,4,0\n")
    run = ebmcore.run(config, progress=False)
    files = [*config["plugins"]["files"], "others.py", "no:monitors"]
    found = ebmcore.evaluate(run.dir, plugins=files, against="new.csv").metrics
    assert found["out_of_distribution/points"] == 2
    assert "out_of_distribution/odd" not in found
    found = ebmcore.evaluate(run.dir, plugins=files, against="odd.csv", label="fault").metrics
    assert (found["out_of_distribution/points"], found["out_of_distribution/odd"]) == (2, 1)
    with pytest.raises(ConfigError, match=r"against: new.csv: .*there's no dataset `file` to read"):
        ebmcore.evaluate(run.dir, plugins=[*files, "no:datasets"], against="new.csv")
    with pytest.raises(EbmError, match="no monitor 'out_of_distribution'"):
        ebmcore.evaluate(
            run.dir, plugins=[*files[:1], "no:monitors"], against={"type": "parts:line"}
        )
