"""Rows of a .npy file that are read by their numbers are those that are read in order."""

import os

import numpy as np
import pytest
import torch
from ebmcore_datasets import File

from ebmcore import DataError
from ebmcore.config import Loader
from ebmcore.data import load_data, stream_data

ROWS = np.arange(24.0).reshape(4, 6) / 8
OPTIONS = {"holdout": 0.5, "dtype": torch.float32}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(file):
    generator = torch.Generator().manual_seed(0)
    return stream_data(file, loader=Loader(), seed=0, generator=generator, **OPTIONS)


@pytest.mark.parametrize("shape", [None, (2, 3)])
@pytest.mark.parametrize("kind", ["u1", "i8", "u4", "?", ">f8", ">i2", "f2", "f4"])
def test_rows_by_their_numbers_are_those_in_order(kind, shape):
    numbers = torch.tensor([3, 0, 0, 2])
    for array in (ROWS, np.asfortranarray(ROWS), ROWS[:, 0]):
        np.save("points.npy", array.astype(kind))
        file = File("points.npy", shape=shape if array.ndim > 1 else None)
        stored = file.read_in_parts(check=False)
        assert torch.equal(stored.at(numbers), stored[:][numbers])
        assert torch.equal(stored.at(numbers[:0]), stored[:0])
        assert torch.equal(stored[::3], stored[:][::3])
        wanted = load_data(file, generator=torch.Generator().manual_seed(0), **OPTIONS)
        found = read(file)
        assert torch.equal(found.x, wanted.x)
        assert torch.equal(found.held_out, wanted.held_out)
        assert torch.equal(found.bounds, wanted.bounds)
        assert found.warnings == wanted.warnings


def saved(ending, **arrays):
    if ending == "npz":
        np.savez("points.npz", **arrays)
    else:
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, "points.pt")
    return File(f"points.{ending}", y_key="y")


@pytest.mark.parametrize("ending", ["npz", "pt"])
def test_labels_and_masks_come_with_rows_of_several_arrays(ending):
    arrays = {"x": ROWS, "y": np.array([3, 1, 4, 1]), "lengths": np.array([6, 2, 1, 6])}
    file = saved(ending, **arrays)
    wanted = load_data(file, generator=torch.Generator().manual_seed(0), **OPTIONS)
    found = read(file)
    for name in ("x", "y", "mask", "held_out", "held_out_y", "held_out_mask"):
        assert torch.equal(getattr(found, name), getattr(wanted, name)), name
    stored = file.read_in_parts(check=False)["x"]
    numbers = torch.tensor([3, 0, 0, 1], dtype=torch.int32)
    assert torch.equal(stored.at(numbers), stored[:][numbers])
    assert torch.equal(stored[::3], stored[:][::3])


def test_compressed_rows_are_refused_with_the_way_out():
    np.savez_compressed("points.npz", x=ROWS)
    with pytest.raises(DataError, match=r"points.npz \[x\] is compressed.* numpy.savez,"):
        read(File("points.npz"))


def test_rows_are_looked_at_when_they_are_read():
    np.save("points.npy", np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]]))
    stored = File("points.npy").read_in_parts(check=False)
    assert torch.equal(stored.at(torch.tensor([2])), torch.tensor([[5.0, 6.0]]))
    with pytest.raises(DataError, match=r"row 1 of the data \(counted from 0\) holds NaN or inf;"):
        read(File("points.npy"))
    np.save("points.npy", np.array([[1], [2**24 + 1]]))
    with pytest.raises(
        DataError, match=r"the data's row 1, column 0 .* is 16777217, which float32"
    ):
        read(File("points.npy"))
    np.save("points.npy", np.array([[1.7e9], [1.7e9 + 1], [1.7e9 + 2]]))
    with pytest.raises(DataError, match=r"points.npy: row 2.*whose rounding is too coarse"):
        read(File("points.npy"))


def test_a_file_that_is_cut_while_it_is_read_is_damaged():
    np.save("points.npy", ROWS)
    stored = File("points.npy").read_in_parts(check=False)
    os.truncate("points.npy", os.path.getsize("points.npy") - 50)
    with pytest.raises(DataError, match=r"points.npy is damaged: it ends within row 2"):
        stored.at(torch.tensor([0, 2]))
