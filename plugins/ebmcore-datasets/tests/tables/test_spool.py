"""Tables that are larger than what is kept in memory."""

import gc
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ebmcore_datasets import File
from ebmcore_datasets.tables import spool, text

from ebmcore import DataError
from ebmcore.config import Loader
from ebmcore.data import load_data, stream_data

ROWS = np.random.default_rng(0).normal(size=(300, 4)).round(3)
ROWS[7, 2] = np.nan
OPTIONS = {"holdout": 0.5, "dtype": torch.float32}


@pytest.fixture(params=["memory", "file"])
def table(request, tmp_path, monkeypatch):
    """Return a table of 300 rows, which is read in blocks of a few; its numbers go to a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(text, "_BLOCK", 500)
    if request.param == "file":
        monkeypatch.setattr(spool, "IN_MEMORY", 400)
    np.savetxt("t.csv", ROWS, delimiter=",", fmt="%g", header="a,b,c,d", comments="")
    return File("t.csv", drop=["b"], impute="median")


def test_rows_of_any_size_are_the_same(table, tmp_path):
    wanted = ROWS[:, [0, 2, 3]].copy()
    wanted[7, 1] = np.nanmedian(wanted[:, 1])
    wanted = torch.tensor(wanted, dtype=torch.float32)
    rows = table.read_in_parts()
    numbers = torch.tensor([299, 0, 7, 7, 120])
    assert torch.equal(rows[:], wanted)
    assert torch.equal(rows[3:200:9], wanted[3:200:9])
    assert torch.equal(rows[300:], wanted[:0])
    assert torch.equal(rows.at(numbers), wanted[numbers])
    assert torch.equal(rows.at(numbers[:0]), wanted[:0])
    again = pickle.loads(pickle.dumps(rows))
    child = os.fork()
    if not child:
        os._exit(not (torch.equal(rows[5:90], wanted[5:90]) and torch.equal(again[:], wanted)))
    assert os.waitpid(child, 0)[1] == 0
    assert os.listdir(tmp_path) == ["t.csv"]
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    stored = bool(getattr(rows.rows.rows, "file", None))
    del rows, again
    gc.collect()
    assert before - len(os.listdir("/proc/self/fd")) == 2 * stored


def test_a_loader_reads_a_tables_rows_by_number(table):
    generator = torch.Generator().manual_seed(0)
    found = stream_data(table, loader=Loader(), seed=0, generator=generator, **OPTIONS)
    wanted = load_data(table, generator=torch.Generator().manual_seed(0), **OPTIONS)
    assert torch.equal(found.x, wanted.x)
    assert torch.equal(found.held_out, wanted.held_out)
    assert found.columns == wanted.columns == ("a", "c", "d")


def test_a_bad_cell_in_a_later_block_has_its_line(table):
    lines = Path("t.csv").read_text().splitlines(keepends=True)
    lines[250] = "1,2,3,four\n"
    Path("t.csv").write_text("".join(lines))
    with pytest.raises(DataError, match=r"line 251, column 4 'd' .*row 249 from 0.* got 'four'"):
        table()


def test_a_full_disk_is_said(table, monkeypatch):
    if spool.IN_MEMORY > 400:
        pytest.skip("it needs no disk")
    monkeypatch.setattr(os, "write", _full)
    with pytest.raises(DataError, match=r"a temporary file of .* No space left.* Set TMPDIR"):
        table()


def _full(*_):
    raise OSError(28, os.strerror(28))


def test_a_gap_between_blocks_is_no_index(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_BLOCK", 30)
    path = tmp_path / "t.csv"
    path.write_text("n,a\n" + "".join(f"{n},0.25\n" for n in [*range(3), *range(5, 40)]))
    blocks = text.TextTable(path, delimiter=",", header=None).blocks([0])
    first, second = next(blocks), next(blocks)
    assert [first[0].to_pylist()[-1], second[0].to_pylist()[0]] == ["2", "5"]
    assert File(path)().shape == (38, 2)
    path.write_text("n,a\n" + "".join(f"{n},0.25\n" for n in range(38)))
    with pytest.raises(DataError, match="column 'n' counts the rows"):
        File(path)()
