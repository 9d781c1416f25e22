"""Rows that are read part by part give what the same rows give whole."""

from functools import partial

import pytest
import torch

import ebmcore.data.parts
from ebmcore import RowsInParts
from ebmcore.data.load import load_data

X = torch.rand(203, 3, 4, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.arange(203) % 3 + 1


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    monkeypatch.setattr(ebmcore.data.parts, "AT_ONCE", 100)


class Counted(RowsInParts):
    """Rows that count how many of them are in memory at once."""

    def __init__(self, x):
        self.x, self.shape, self.dtype, self.most = x, x.shape, x.dtype, 0

    def __getitem__(self, rows):
        found = self.x[rows].clone()
        self.most = max(self.most, len(found))
        return found


class Stored:
    def __init__(self, x):
        self.rows = Counted(x)

    def __call__(self):
        return self.rows.x

    def read_in_parts(self):
        return self.rows


class Doubled(Stored):
    def __call__(self):
        return 2 * super().__call__()


def load(source, holdout=0.25, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return load_data(source, holdout=holdout, generator=generator, dtype=dtype)


@pytest.mark.parametrize("holdout", [0.0, 0.25])
@pytest.mark.parametrize(
    "x",
    [
        pytest.param(X, id="float32"),
        pytest.param(X[:, 0, 0], id="numbers"),
        pytest.param((255 * X).to(torch.uint8), id="uint8"),
        pytest.param((2**20 * X).long(), id="int64"),
    ],
)
def test_stored_rows_are_read_a_few_at_a_time(x, holdout):
    stored = Stored(x)
    data, order = load(stored, holdout), torch.arange(203)
    if holdout:
        order = torch.randperm(203, generator=torch.Generator().manual_seed(1))
    n = round(203 * holdout)
    events = x.float().reshape(203, *(x.shape[1:] or (1,)))
    assert torch.equal(data.x, events[order[n:].sort().values])
    assert torch.equal(data.held_out, events[order[:n].sort().values])
    assert stored.rows.most <= 100


def test_a_subclass_that_changes_the_call_is_called():
    assert torch.equal(load(Doubled(X)).x, 2 * load(Stored(X)).x)


@pytest.mark.parametrize(
    "change",
    [partial(torch.permute, dims=(0, 2, 1)), lambda x: x.flatten(1).t().contiguous().t()],
    ids=["permuted", "columns first"],
)
def test_the_layout_in_memory_is_that_of_selected_rows(change):
    x = change(X)
    found = load(x).x
    assert found.stride() == x[torch.arange(len(found))].stride()


def test_padding_and_split_are_those_of_the_whole():
    data = load({"x": X, "lengths": LENGTHS})
    order = torch.randperm(203, generator=torch.Generator().manual_seed(1))
    train = order[round(203 * 0.25) :].sort().values
    there = torch.arange(3) < LENGTHS[:, None]
    assert torch.equal(data.x, torch.where(there[:, :, None], X, 0.0)[train])
    assert torch.equal(data.mask, there[train])
