"""Masks and lengths of a dataset, in each form that it may give them."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from ebmcore import Binary, DataError
from ebmcore.data.load import load_data
from ebmcore.data.mask import some_masks

X = torch.arange(1.0, 13).reshape(4, 3)
LENGTHS = torch.tensor([3, 1, 2, 3])
MASK = torch.arange(3) < LENGTHS[:, None]


class Points(NamedTuple):
    x: torch.Tensor
    lengths: torch.Tensor


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return {"x": X[i], "y": i, "mask": MASK[i]}


def load(found, holdout=0.0, **options):
    generator = torch.Generator().manual_seed(0)
    return load_data(found, holdout=holdout, generator=generator, dtype=X.dtype, **options)


FORMS = {
    "mask": {"x": X, "mask": MASK},
    "whole": {"x": X.tolist(), "mask": MASK.int().tolist(), "y": None},
    "lengths": lambda: {"x": X.where(MASK, torch.nan), "lengths": LENGTHS.double()},
    "named": Points(X, LENGTHS),
    "rows": Rows(),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_events(form):
    data = load(FORMS[form])
    assert torch.equal(data.x, X.where(MASK, 0))
    assert torch.equal(data.mask, MASK)
    assert data.conditions.mask is data.mask
    assert (data.y is None) == (form != "rows")


def test_the_split_and_the_device_take_the_mask_along():
    x = torch.arange(1.0, 61).reshape(20, 3)
    lengths = torch.arange(20) % 3 + 1
    data = load({"x": x, "lengths": lengths}, holdout=0.25).to(torch.device("cpu"))
    for points, mask in ((data.x, data.mask), (data.held_out, data.held_out_mask)):
        rows = ((points[:, 0] - 1) / 3).long()
        assert torch.equal(mask.sum(1), lengths[rows])
        assert torch.equal(points, x[rows].where(mask, 0))
    assert len(data.held_out_mask) == 5


def test_a_mask_may_say_it_of_each_number():
    mask = torch.ones(4, 3, 2).bool()
    mask[1, 2, 0] = False
    data = load({"x": torch.ones(4, 3, 2), "mask": mask})
    assert torch.equal(data.x == 1, mask)
    assert torch.equal(
        load({"x": torch.ones(4, 3, 2), "mask": MASK}).x[1].sum(1), X.new_tensor([2, 0, 0])
    )
    bits = load({"x": torch.full((4, 3), 7).where(~MASK, 1), "mask": MASK}, space=Binary())
    assert torch.equal(bits.x == 1, MASK)  # padding need not be in the space


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"mask": MASK}, "mapping has x and perhaps y, mask or lengths; found 'mask'"),
        ({"x": X, "labels": X}, "found 'x', 'labels'"),
        ({"x": X, "mask": MASK, "lengths": LENGTHS}, "both a mask and lengths"),
        ({"x": X, "mask": MASK[:, :2]}, r"shape \(4, 3\); got \(4, 2\)"),
        ({"x": X, "mask": MASK[:, 0]}, r"shape \(4, 3\); got \(4,\)"),
        ({"x": X, "mask": 0.5 * MASK}, "truth values, or 0 and 1; it holds other"),
        ({"x": X, "mask": MASK & (X > 3)}, "mask: row 0 .* has no step that counts; remove it"),
        ({"x": X, "lengths": MASK}, r"one number for each event, shape \(4,\); got \(4, 3\)"),
        ({"x": X, "lengths": LENGTHS + 1}, r"from 1 to 3, .* row 0 .* is 4"),
        ({"x": X, "lengths": LENGTHS - 1}, r"row 1 .* is 0"),
        ({"x": X, "lengths": LENGTHS - 0.5}, r"row 0 .* is 2.5"),
    ],
)
def test_what_is_refused(found, message):
    with pytest.raises(DataError, match=message):
        load(found)


def test_a_run_keeps_some_masks_alone():
    assert some_masks(None) is None
    assert torch.equal(some_masks(MASK, 2), MASK[::2])
    assert len(some_masks(torch.ones(2001, 2), 1000)) == 667


EVENTS = [X[i, :length] for i, length in enumerate(LENGTHS.tolist())]


class Shorter(torch.utils.data.Dataset):
    """Items of different length, more of them than are looked at first."""

    def __init__(self, item, n=130):
        self.item, self.n = item, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.item(i, EVENTS[i % 4])


@pytest.mark.parametrize(
    "found",
    [
        EVENTS,
        tuple(EVENTS),
        lambda: [event.tolist() for event in EVENTS],
        np.array([event.numpy() for event in EVENTS], dtype=object),
        {"x": EVENTS, "y": [0, 1, 2, 3]},
        (EVENTS, [0, 1, 2, 3]),
        Shorter(lambda i, x: x, 4),
    ],
    ids=["tensors", "tuple", "lists", "objects", "mapping", "labels", "dataset"],
)
def test_events_of_different_length_are_padded(found):
    data = load(found)
    assert torch.equal(data.x, X.where(MASK, 0))
    assert data.x.dtype == torch.float32
    assert torch.equal(data.mask, MASK)


@pytest.mark.parametrize(
    "item",
    [
        lambda i, x: x,
        lambda i, x: (x.numpy(), i),
        lambda i, x: {"x": x[:, None].repeat(1, 2), "y": i},
        lambda i, x: x if i > 99 else X[i % 4, :2],
    ],
    ids=["x", "labels", "mapping", "late"],
)
def test_items_of_different_length_are_padded(item):
    data = load(Shorter(item))
    assert torch.equal(data.mask.sum(1)[100:], LENGTHS.repeat(33)[100:130])
    expected = X.repeat(33, 1)[:130].where(data.mask, 0)
    assert torch.equal(data.x if data.x.ndim == 2 else data.x[..., 1], expected)
    if data.y is not None:
        assert torch.equal(data.y, torch.arange(130))


def test_events_as_tensors_may_be_of_one_length():
    data = load([X[:2], X[2:]])
    assert torch.equal(data.x, X.reshape(2, 2, 3))
    assert data.mask is None


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            [X[0], X[:2]],
            r"event 1 .* has steps of shape \[3\], and event 0 of \[\]",
        ),
        ([X[0], X[1, :0]], r"row 1 \(counted from 0\) is 0"),
        (
            [[1.0, 2.0], ["a"]],
            r"event 1 .* should hold numbers, the same for each step; it is a li",
        ),
        ({"x": EVENTS, "mask": MASK}, "different lengths, which say the steps .*; leave out mask"),
        ((EVENTS, [1, 2]), r"x has shape \(4, 3\), its labels \(2,\)"),
    ],
)
def test_events_that_do_not_go_together(found, message):
    with pytest.raises(DataError, match=message):
        load(found)


@pytest.mark.parametrize("channels", [0, 2])
def test_whole_steps_of_nan_at_the_ends_are_padding(channels):
    x = X[..., None].repeat(1, 1, channels) if channels else X
    wide = MASK.reshape(4, 3, *[1] * (x.ndim - 2)).expand_as(x)
    data = load(x.where(wide, torch.nan))
    assert torch.equal(data.x, x.where(wide, 0))
    assert torch.equal(data.mask, MASK)
    (warning,) = data.warnings
    assert warning == data.ended_by_nan
    assert warning.startswith("2 of 4 events end in steps of NaN, 3 in all, which are taken as pad")
    assert load(x).ended_by_nan == ""


@pytest.mark.parametrize(
    ("place", "value", "row"),
    [
        ((1, 0), torch.nan, "row 1"),  # before a step that counts
        ((0, 2, 1), torch.nan, "row 0"),  # half a step
        ((3,), torch.nan, "row 3"),  # a whole event
        ((0, 2), torch.inf, "row 0"),
    ],
)
def test_nan_elsewhere_is_refused(place, value, row):
    x = X[..., None].repeat(1, 1, 2)
    x[2, 2:] = torch.nan
    x[place] = value
    with pytest.raises(DataError, match=f"^{row} of the data .* holds NaN or inf, as do 1 of 4"):
        load(x)
