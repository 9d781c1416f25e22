"""Masks and lengths of a dataset, in each form that it may give them."""

from typing import NamedTuple

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
