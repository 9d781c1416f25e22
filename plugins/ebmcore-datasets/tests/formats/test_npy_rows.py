"""A run reads a .npy file in parts, and gets what a call returns."""

import os
import re
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from ebmcore_datasets import File

from ebmcore import DataError, RowsInParts
from ebmcore.data import load_data

ROWS = np.arange(24.0).reshape(4, 6) / 8


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(source, holdout=0.0):
    generator = torch.Generator().manual_seed(0)
    return load_data(source, holdout=holdout, generator=generator, dtype=torch.float32)


@pytest.mark.parametrize("shape", [None, (2, 3)])
@pytest.mark.parametrize("kind", ["u1", "i8", "u4", "u8", "?", ">f8", ">i2", "f2", "f4", "f8"])
def test_rows_are_those_of_a_call(kind, shape):
    for array in (ROWS, np.asfortranarray(ROWS)):
        np.save("points.npy", array.astype(kind))
        file = File("points.npy", shape=shape)
        assert isinstance(file.read_in_parts(), torch.Tensor if kind == "u8" else RowsInParts)
        found, wanted = load(file, 0.5), load(file(), 0.5)
        assert torch.equal(found.x, wanted.x)
        assert torch.equal(found.held_out, wanted.held_out)
        assert found.warnings == wanted.warnings
        assert found.event_shape == (shape or (6,))


def test_a_column_of_numbers_is_read_in_parts():
    np.save("points.npy", ROWS[:, 0])
    assert torch.equal(load(File("points.npy")).x, torch.tensor(ROWS[:, :1]).float())


@pytest.mark.parametrize(
    ("array", "options"),
    [
        pytest.param([[0.5, np.nan], [np.inf, 1.0]], {}, id="not finite"),
        pytest.param([[0.5, 1e300]], {}, id="too large"),
        pytest.param([[1, 2**24 + 1]], {}, id="too wide"),
        pytest.param([[1.7e9], [1.7e9 + 1], [1.7e9 + 2]], {}, id="rounded away"),
        pytest.param([[1.0, 2.0]], {"shape": [3]}, id="shape"),
        pytest.param([[1.0, 2.0]], {"y_key": "y"}, id="labels"),
        pytest.param(np.zeros((0, 2)), {}, id="empty"),
        pytest.param(3.0, {}, id="one number"),
        pytest.param([["a"]], {}, id="words"),
        pytest.param(np.array([[None]]), {}, id="objects"),
    ],
)
def test_bad_rows_are_refused_as_by_a_call(array, options):
    np.save("points.npy", np.array(array))
    with pytest.raises(DataError) as called:
        File("points.npy", **options)()
    with pytest.raises(DataError, match=f"^{re.escape(str(called.value))}$"):
        File("points.npy", **options).read_in_parts()


SIZES = {"f4": 60, "u1": 80, "f8": 100}  # megabytes of float32, the largest last


def memory(name):
    with open("/proc/self/status") as status:
        return 1024 * int(next(line.split()[1] for line in status if line.startswith(name)))


def measure(kept):
    """Put x's size for each file, and how far its reading raises the peak above what was there."""
    load(File("few.npy"), 0.1)
    for kind in SIZES:
        before = memory("VmRSS")
        data = load(File(f"{kind}.npy"), 0.1)
        kept.put((data.x.nbytes + data.held_out.nbytes, memory("VmHWM") - before))
        del data


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_a_file_is_in_memory_once():
    np.save("few.npy", np.ones((100, 1000)))
    for kind, size in SIZES.items():
        np.save(f"{kind}.npy", np.ones((size * 250, 1000), kind))
    context = get_context("spawn")
    kept = context.SimpleQueue()
    process = context.Process(target=measure, args=(kept,))
    process.start()
    process.join()
    for kind, megabytes in SIZES.items():
        size, grown = kept.get()
        assert size == megabytes * 10**6
        assert grown < 1.6 * size, f"{kind}: {grown / size:.2f} times its size"
