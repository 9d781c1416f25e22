"""Rows of any dataset, read by their numbers, checked and named."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from ebmcore import Binary, DataError, Real, RowsInParts
from ebmcore.data.row_reader import RowReader, Stored

X = torch.rand(12, 3, generator=torch.Generator().manual_seed(0))


class Items(Dataset):
    def __init__(self, item, n=12):
        self.item, self.n = item, n

    def __len__(self):
        return self.n

    def __getitem__(self, row):
        return self.item(row)


def reader(item, space=Real(), dtype=torch.float32):  # noqa: B008 (frozen)
    return RowReader(Items(item), seed=0, space=space, dtype=dtype)


@pytest.mark.parametrize(
    "item",
    [
        lambda row: X[row],
        lambda row: (X[row],),
        lambda row: [X[row], row],
        lambda row: (X[row].numpy(), np.int64(row)),
        lambda row: {"x": X[row], "y": row},
        lambda row: {"x": X[row].double(), "mask": torch.arange(3) <= row % 3},
        lambda row: {"x": X[row], "y": row, "lengths": row % 3 + 1},
    ],
    ids=["x", "(x,)", "[x, y]", "arrays", "mapping", "mask", "lengths"],
)
def test_items_become_rows(item):
    read = reader(item)
    numbers = torch.tensor([7, 2, 2])
    rows = read(numbers, "step 0")
    there = torch.arange(3) <= (numbers % 3)[:, None]
    assert torch.equal(rows.x.float(), X[numbers])
    assert rows.y is None or torch.equal(rows.y, numbers)
    assert rows.mask is None or torch.equal(rows.mask, there)
    expected = X[numbers] if rows.mask is None else torch.where(there, X[numbers], 0.0)
    assert torch.equal(read.events(rows), expected)


def test_numbers_are_events_of_one_value():
    assert torch.equal(reader(float)(torch.tensor([4, 1]), "").x, torch.tensor([[4.0], [1.0]]))


class Kept(RowsInParts):
    shape, dtype = X.shape, X.dtype

    def __getitem__(self, rows):
        return X[rows]


def test_stored_rows_bring_their_labels_and_masks():
    mask = torch.ones(12, 3, dtype=torch.bool)
    mask[5, 1:] = False
    numbers = torch.tensor([5, 0], dtype=torch.int32)
    source = Stored(Kept(), torch.arange(12), mask)
    read = RowReader(source, seed=0, space=Real(), dtype=torch.float64)
    rows = read(numbers, "")
    assert rows.y.tolist() == [5, 0]
    assert torch.equal(rows.mask, mask[[5, 0]])
    assert torch.equal(read.events(rows), torch.where(rows.mask, X[[5, 0]], 0.0).double())


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (lambda numbers: X[:1], r"Kept.at should read 2 rows as \(2, 3\); got \(1, 3\)"),
        (lambda numbers: 1 / 0, "rows can't be read: ZeroDivisionError"),
    ],
)
def test_stored_rows_that_are_not_read_are_refused(at, message):
    kept = Kept()
    read = RowReader(Stored(kept), seed=0, space=Real(), dtype=torch.float32)
    kept.at = at
    with pytest.raises(DataError, match=message):
        read(torch.tensor([1, 2]), "")


def test_a_row_draws_alike_in_any_batch_of_a_visit():
    read = reader(lambda row: torch.rand(2))
    both, alone = read(torch.tensor([3, 5]), "step 1"), read(torch.tensor([5]), "step 1")
    assert torch.equal(both.x[1:], alone.x)
    assert not torch.equal(read(torch.tensor([5]), "step 2").x, alone.x)
    assert not torch.equal(both.x[0], both.x[1])


def bad(value):
    """Return a function of rows whose row 7 is another one."""
    return lambda row: value if row == 7 else torch.zeros(2)


@pytest.mark.parametrize(
    ("item", "space", "message"),
    [
        (bad(torch.tensor([0.0, torch.inf])), Real(), "holds NaN or inf; remove or mend it"),
        (lambda row: 10.0 ** (row // 7 * 300), Real(), "numbers too large for float32"),
        (bad(torch.tensor([0.0, 2.0])), Binary(), "row 7, column 1 .counted from 0. is 2, but bin"),
        (bad(torch.tensor([0.0, 2.0])), Real(high=1), "row 7, column 1 .counted from 0. is 2, but"),
        (bad(torch.zeros(3)), Real(), r"is float32 of shape \(3,\), and row 0 is float32 of shape"),
        (bad((torch.zeros(2), 1)), Real(), "with labels int64 of shape"),
        (bad("seven"), Real(), "can't become a tensor; an item should be x, .* and is str"),
        (bad((torch.zeros(2), object())), Real(), r"and is \(Tensor, object\)"),
        (bad({"x": torch.zeros(2), "z": 1}), Real(), "a dataset's mapping has x and perhaps y"),
        (bad({"x": torch.zeros(2), "lengths": 3}), Real(), "whole numbers from 1 to 2"),
        (lambda row: 2**24 + (row == 7), Real(), "row 7, column 0 .* is 16777217, which float32"),
        (lambda row: 1 // (row - 7), Real(), r"can't give row 7 .counted from 0.: ZeroDivisionErr"),
    ],
)
def test_a_bad_row_is_named(item, space, message):
    read = reader(item, space)
    assert len(read(torch.tensor([2, 3]), "").x) == 2
    with pytest.raises(DataError, match=message) as raised:
        read(torch.tensor([2, 7, 3]), "")
    assert "row 7" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_complex_rows_are_refused_at_once():
    with pytest.raises(DataError, match="complex numbers"):
        reader(lambda row: torch.zeros(2, dtype=torch.complex64))
