"""A run reads files of arrays in parts, and gets what a call returns."""

import os
import pickle
import re
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from ebmcore_datasets import File

from ebmcore import DataError, RowsInParts
from ebmcore.data import load_data

ROWS = np.arange(24.0).reshape(4, 6) / 8
TRAIN = torch.randperm(4, generator=torch.Generator().manual_seed(0))[2:].sort().values


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(source, holdout=0.0):
    generator = torch.Generator().manual_seed(0)
    return load_data(source, holdout=holdout, generator=generator, dtype=torch.float32)


def save(form, array, **others):
    """Write an array to a file, as x beside others where the file has names; return its path."""
    ending, _, how = form.partition(" ")
    path = f"points.{ending}"
    if ending == "npz":
        (np.savez_compressed if how else np.savez)(path, x=array, **others)
    elif ending == "pt":
        tensors = {"x": torch.tensor(array)} | {k: torch.tensor(v) for k, v in others.items()}
        torch.save(tensors if how else tensors["x"], path)
    else:
        np.save(path, np.asfortranarray(array) if how else array)
    return path


FORMS = ["npy", "npy columns", "npz", "npz compressed", "pt", "pt named"]
NAMED = ["npz", "npz compressed", "pt named"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["u1", "i8", "u4", "u8", "?", ">f8", ">i2", "f2", "f4", "f8"])
def test_rows_are_those_of_a_call(form, kind):
    array = ROWS.astype(kind)
    path = save(form, array.astype(array.dtype.newbyteorder("=")) if "pt" in form else array)
    for shape in (None, (2, 3)):
        file = File(path, shape=shape)
        in_parts = "pt" in form or kind != "u8"
        rows = file.read_in_parts()
        assert isinstance(rows, RowsInParts if in_parts else torch.Tensor)
        assert torch.equal(rows[::3], file()[::3])
        assert rows[::3].dtype == rows.dtype == file().dtype
        assert torch.equal(pickle.loads(pickle.dumps(rows))[1:3], rows[1:3])
        found, wanted = load(file, 0.5), load(file(), 0.5)
        assert torch.equal(found.x, wanted.x)
        assert torch.equal(
            found.x, torch.tensor(ROWS.astype(kind).astype("f4"))[TRAIN].view(found.x.shape)
        )
        assert torch.equal(found.held_out, wanted.held_out)
        assert found.warnings == wanted.warnings
        assert found.event_shape == (shape or (6,))


@pytest.mark.parametrize("form", NAMED)
def test_labels_and_padding_come_with_them(form):
    x = ROWS.copy()
    x[1, 4:] = np.nan
    file = File(save(form, x, lengths=np.array([6, 4, 1, 2]), y=np.arange(4)), y_key="y")
    assert isinstance(file.read_in_parts()["x"], RowsInParts)
    found, wanted = load(file, 0.5), load(file(), 0.5)
    for field in ("x", "y", "mask", "held_out", "held_out_y", "held_out_mask"):
        assert torch.equal(getattr(found, field), getattr(wanted, field))
    x, y = File(save(form, ROWS, y=np.arange(4)), y_key="y").read_in_parts()
    assert isinstance(x, RowsInParts)
    assert y.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("form", ["npz", "npz compressed"])
def test_damage_is_found_before_rows_are_used(form):
    path = save(form, np.random.default_rng(0).integers(0, 9, (1000, 6)))
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(path).write_bytes(content)
    with pytest.raises(DataError, match=r"points.npz \[x\] is damaged: "):
        File(path).read_in_parts()


def test_only_files_that_have_no_rows_in_one_place_are_read_whole():
    np.savez_compressed("columns.npz", x=np.asfortranarray(ROWS))
    torch.save(torch.tensor(ROWS), "old.pt", _use_new_zipfile_serialization=False)
    for value, message in ((3.0, "a single number"), ([], "no numbers")):
        torch.save(torch.tensor(value), "none.pt")
        with pytest.raises(DataError, match=message):
            File("none.pt")()
    for name in ("columns.npz", "old.pt"):
        assert torch.equal(File(name).read_in_parts(), torch.tensor(ROWS).float())


def test_compressed_rows_are_read_in_any_order_and_by_forks():
    array = np.random.default_rng(0).integers(0, 99, (1000, 6))
    rows = File(save("npz compressed", array)).read_in_parts()
    assert torch.equal(rows[600:610], torch.tensor(array[600:610]))
    child = os.fork()
    if not child:
        os._exit(not torch.equal(rows[610:1000], torch.tensor(array[610:])))
    assert os.waitpid(child, 0)[1] == 0
    assert torch.equal(rows[620:640], torch.tensor(array[620:640]))
    assert torch.equal(rows[:20], torch.tensor(array[:20]))
    assert torch.equal(rows[3:990:7], torch.tensor(array[3:990:7]))


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


FILES = ["f8 npy", "f4 npz", "u1 npz compressed", "f4 pt"]


def memory(name):
    with open("/proc/self/status") as status:
        return 1024 * int(next(line.split()[1] for line in status if line.startswith(name)))


def measure(paths, kept):
    """Put x's size for each file, and how far its reading raises the peak above what was there."""
    load(File("few.npy"), 0.1)
    for path in paths:
        Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is there now
        before = memory("VmRSS")
        data = load(File(path), 0.1)
        kept.put((data.x.nbytes + data.held_out.nbytes, memory("VmHWM") - before))
        del data


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_a_file_is_in_memory_once():
    np.save("few.npy", np.ones((100, 1000)))
    paths = []
    for number, (kind, _, form) in enumerate(file.partition(" ") for file in FILES):
        path = Path(save(form, np.ones((15_000, 1000), kind)))
        paths.append(path.rename(f"{number}{path.suffix}"))
    context = get_context("spawn")
    kept = context.SimpleQueue()
    process = context.Process(target=measure, args=(paths, kept))
    process.start()
    process.join()
    for file in FILES:
        size, grown = kept.get()
        assert size == 60 * 10**6
        assert grown < size + 42 * 10**6, f"{file}: {grown / size:.2f} times its size"
