"""Series from .ts files: a user's own, and those of an installed aeon."""

import re
import sys

import pytest
import torch
from ebmcore_datasets import TimeSeries

from ebmcore import DataError

HEADER = "# about it\n@problemName Steps\n@timeStamps false\n@classLabel true slow fast\n@data\n"
ONE = "1.0,2.5,-3:fast\n4,5,6:slow\n"


def write(folder, text, name="own.ts"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture
def aeon(tmp_path, monkeypatch):
    """A package aeon whose code must not run, with a set of two files and one of one."""
    data = "aeon/datasets/data"
    write(tmp_path, "raise ImportError('numba')\n", "aeon/__init__.py")
    write(tmp_path, HEADER + ONE, f"{data}/Steps/Steps_TRAIN.ts")
    write(tmp_path, HEADER + "7,8,9:fast\n", f"{data}/Steps/Steps_TEST.ts")
    write(tmp_path, HEADER + ONE, f"{data}/Half/Half_TRAIN.ts")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "aeon", raising=False)


def test_series_of_one_channel_and_their_classes(tmp_path):
    found = TimeSeries(path=write(tmp_path, HEADER + ONE))()
    assert torch.equal(found["x"], torch.tensor([[1.0, 2.5, -3.0], [4.0, 5.0, 6.0]]))
    assert found["y"].tolist() == [1, 0]  # by the header's order
    assert set(found) == {"x", "y"}
    fast = TimeSeries(path=tmp_path / "own.ts", classes=["fast"])()
    assert (fast["x"].tolist(), fast["y"].tolist()) == ([[1.0, 2.5, -3.0]], [1])


def test_channels_and_lengths(tmp_path):
    text = "@classLabel false\n@data\n1,2,3:4,?,6\n7,8:9,10\n"
    found = TimeSeries(path=write(tmp_path, text))()
    assert found["lengths"].tolist() == [3, 2]
    assert set(found) == {"x", "lengths"}
    first = [[1.0, 4.0], [2.0, torch.nan], [3.0, 6.0]]
    wanted = torch.tensor([first, [[7.0, 9.0], [8.0, 10.0], [0.0, 0.0]]])
    assert torch.equal(found["x"].nan_to_num(99), wanted.nan_to_num(99))


def test_the_order_of_time(tmp_path):
    text = "@data\n" + ",".join(map(str, range(50))) + "\n1,2,3\n"
    path = write(tmp_path, text)
    back = TimeSeries(path=path, order="backwards")()
    assert back["x"][0].tolist() == list(range(49, -1, -1))
    assert back["x"][1, :4].tolist() == [3, 2, 1, 0]
    mixed = [
        TimeSeries(path=path, order="shuffled", generator=torch.Generator().manual_seed(s))()["x"]
        for s in (0, 0, 1)
    ]
    assert torch.equal(mixed[0], mixed[1])
    assert not torch.equal(mixed[0], mixed[2])
    assert mixed[0][0].sort().values.tolist() == list(range(50))
    assert mixed[0][1, 3:].eq(0).all()


def test_targets_are_numbers(tmp_path):
    text = "@targetlabel true\n@data\n1,2:0.25\n3,4:-1\n"
    assert TimeSeries(path=write(tmp_path, text))()["y"].tolist() == [0.25, -1]


def test_sets_of_the_installed_package(aeon):
    x = TimeSeries(name="Steps")()["x"]
    assert x[:, 0].tolist() == [1, 4, 7]
    assert TimeSeries(name="Steps", split="test")()["x"].tolist() == [[7, 8, 9]]
    assert TimeSeries(name="Half", split="train")()["y"].tolist() == [1, 0]
    assert "aeon" not in sys.modules
    with pytest.raises(DataError, match="no set 'Stpes' with TRAIN and TEST files; it has Half, "):
        TimeSeries(name="Stpes")()
    with pytest.raises(DataError, match="no set 'Half' with TEST files; it has"):
        TimeSeries(name="Half", split="test")()


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("ebmcore_datasets.time_series.dataset.PACKAGE", "no_such_package")
    with pytest.raises(DataError, match=r"not installed: pip install 'ebmcore-datasets\[aeon\]'"):
        TimeSeries(name="ItalyPowerDemand")()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no line @data"),
        ("1,2,3\n", ":1: a header's lines begin with @; is it a .ts file?"),
        (HEADER, "has no series after @data"),
        (HEADER + ONE + "1,b:slow\n", ":8: a series should hold numbers and commas: could not"),
        (HEADER + "1,2:quick\n", ":6: label 'quick' is none of the header's classes, slow, fast"),
        (HEADER + "1,2:3:slow\n", ":6: the channels .* they have 2, 1 steps"),
        (HEADER.replace("stamps false", "stamps true").replace("Stamps f", "Stamps TRUE #"),
         "has timestamps"),
        ("@targetlabel true\n@data\n1,2:high\n", "targets should be numbers"),
        ("@data\n1,2\n1,2:3,4\n", r"event 1 \(counted from 0\) has steps of shape \[2\], and"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        TimeSeries(path=write(tmp_path, text))()
    assert re.search(message, str(error.value)), str(error.value)


def test_keys_that_do_not_fit(tmp_path):
    for keys in ({}, {"name": "A", "path": tmp_path}):
        with pytest.raises(ValueError, match="give a name or a path"):
            TimeSeries(**keys)
    with pytest.raises(ValueError, match=r"order should be forwards, backwards or .*; got 'up'"):
        TimeSeries(name="A", order="up")
    with pytest.raises(ValueError, match="split should be train, test or both; got 'all'"):
        TimeSeries(name="A", split="all")
    with pytest.raises(DataError, match="no classes quick; there are slow, fast"):
        TimeSeries(path=write(tmp_path, HEADER + ONE), classes=["quick"])()
    with pytest.raises(DataError, match=r"none\.ts can't be read: No such file"):
        TimeSeries(path=tmp_path / "none.ts")()
    binary = tmp_path / "binary.ts"
    binary.write_bytes(b"\xff\xfe\x00@data")
    with pytest.raises(DataError, match=r"binary\.ts is no \.ts file"):
        TimeSeries(path=binary)()
