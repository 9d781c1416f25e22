"""Whole numbers in a file come as they are, or not at all."""

import re

import numpy as np
import pytest
import torch
from ebmcore_datasets import File

from ebmcore import DataError

LARGE = [[2**60, 1], [2**60 + 1, 2]]
BEYOND = (
    r"is 1152921504606846977, which float(32|64) can't hold: it would become 1152921504606846976"
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(kind, values, dtype=np.int64):
    name = f"points.{kind}"
    array = np.array(values, dtype)
    if kind == "npy":
        np.save(name, array)
    elif kind == "npz":
        np.savez(name, x=array, y=array[:, 0])
    elif kind == "pt":
        torch.save({"x": torch.from_numpy(array), "y": torch.from_numpy(array[:, 0])}, name)
    else:
        with open(name, "w") as stream:
            stream.write("\n".join(",".join(map(str, row)) for row in values))
    return File(name)


def refused(file, message):
    with pytest.raises(DataError) as caught:
        file()
    assert re.search(message, str(caught.value)), caught.value
    assert str(caught.value).startswith(f"{file.path}: ")


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def dtype(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.mark.parametrize("kind", ["npy", "npz", "pt", "csv"])
def test_whole_numbers_beyond_the_dtype_are_refused(kind, dtype):
    place = r"line 2, column 1 \(counted from 1;" if kind == "csv" else r"row 1, column 0 \(count"
    refused(write(kind, LARGE), f"{place}.* {BEYOND}")
    counted = [[n, 0] for n in range(2**25, 2**25 + 400)]
    keys = {"columns": [0, 1]} if kind == "csv" else {}  # in a table it would be an index
    file = File(write(kind, counted).path, **keys)
    if dtype == torch.float32:
        refused(file, "is 33554433, .* Set dtype: float64, which holds it, or subtract")
    else:
        assert file().tolist() == counted


@pytest.mark.parametrize("kind", ["u8", "u4", ">i8", ">u8", ">u4", "i8"])
def test_of_any_type(kind):
    wrong = 2**24 + 1
    refused(write("npy", [[3], [wrong]], kind), f"row 1, column 0 .* is {wrong}, which float32")
    assert write("npy", [[3], [2**31]], kind)().tolist() == [[3.0], [2.0**31]]
    if kind.endswith("u8"):
        refused(write("npy", [[2**64 - 1]], kind), "is 18446744073709551615, which float32")
        assert write("npy", [[2**63]], kind)().tolist() == [[2.0**63]]


def test_a_column_of_text_is_whole_where_all_of_it_is():
    for text in ("16777217,0.5\n3,1", "a,b\n16777217,0.5\n\n 3 ,1", "16777217;0.5\n+3;1"):
        with open("points.csv", "w") as stream:
            stream.write(text)
        file = File("points.csv", delimiter=";" if ";" in text else ",")
        refused(file, r"line \d, column 1 .* is 16777217, which float32 can't hold")
    with open("points.csv", "w") as stream:
        stream.write("16777217.5,0.5\n3,1")
    assert File("points.csv")()[0, 0] == 16777218
    with open("points.csv", "w") as stream:
        stream.write(f"{2**70},1\n3,1")
    refused(File("points.csv"), "line 1, column 1 .* a whole number of more than 64 bits")


def test_labels_keep_every_digit():
    for kind in ("npz", "pt"):
        file = write(kind, [[2**24, 1], [2**24 - 1, 2]])
        _, y = File(file.path, y_key="y")()
        assert y.tolist() == [2**24, 2**24 - 1]
        wide = {"x": np.zeros((2, 1)), "y": np.array([2**60 + 1, 2**60])}
        np.savez("wide.npz", **wide)
        torch.save({name: torch.from_numpy(array) for name, array in wide.items()}, "wide.pt")
        assert File(f"wide.{kind}", y_key="y")()[1].tolist() == [2**60 + 1, 2**60]
    np.savez("wide.npz", x=np.zeros((2, 1)), y=np.array([2**64 - 1, 0], np.uint64))
    with pytest.raises(DataError, match=r"\[y\]: labels should be whole numbers below 2\^63"):
        File("wide.npz", y_key="y")()


def test_times_of_day_are_refused_in_float32_only(dtype):
    times = 1.7e9 + 86400 * np.random.default_rng(0).random((300, 1))
    np.save("points.npy", times)
    np.savetxt("points.csv", times, fmt="%.17g")
    for name in ("points.npy", "points.csv"):
        if dtype == torch.float64:
            assert torch.equal(File(name)(), torch.from_numpy(times))
        else:
            refused(File(name), "and would be .* in float32, .* Set dtype: float64")
