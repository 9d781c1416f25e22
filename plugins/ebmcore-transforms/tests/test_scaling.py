"""Shifts and scales: the statistics of the training rows, constant and flat columns."""

import pytest
import torch
from ebmcore_transforms import MinMax, RobustScale, Standardise

from ebmcore import Real, Transforms


@pytest.fixture
def x():
    drawn = torch.randn(101, 2, 3, generator=torch.Generator().manual_seed(0))
    return drawn * torch.tensor([1e-3, 1.0, 1e4]) + torch.tensor([5.0, 0.0, -1e5])


@pytest.mark.parametrize("per", ["number", "channel", "feature", "event"])
def test_the_training_rows_have_the_moments_of_what_shares_them(x, per):
    found = Transforms([Standardise(per=per)]).fit(x, Real()).double()
    over = {"number": 0, "channel": (0, 2), "feature": (0, 1), "event": (0, 1, 2)}[per]
    assert found.mean(over).abs().max() < 1e-3  # of float32 numbers of size 1e5
    assert (found.std(over, correction=0) - 1).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("per", "times"), [("number", 1), ("channel", 3), ("feature", 2), ("event", 6)]
)
def test_log_det_is_minus_the_log_of_the_scales(x, per, times):
    one = Standardise(per=per)
    one.fit(x)
    expected = -times * one.scale.log().sum()  # each scale is that of so many of six numbers
    torch.testing.assert_close(one.log_abs_det(x.double()), expected.expand(len(x)))


def test_quartiles_and_ends(x):
    flat = x.flatten(1).double()
    robust = Transforms([RobustScale()], dtype=torch.float64).fit(x.double(), Real()).flatten(1)
    low, median, high = flat.quantile(torch.tensor([0.25, 0.5, 0.75]).double(), 0)
    torch.testing.assert_close(robust, (flat - median) / (high - low))
    ends = Transforms([MinMax(low=-2, high=3)], dtype=torch.float64).fit(x.double(), Real())
    torch.testing.assert_close(ends.amin(0), torch.full((2, 3), -2.0, dtype=torch.float64))
    torch.testing.assert_close(ends.amax(0), torch.full((2, 3), 3.0, dtype=torch.float64))


@pytest.mark.parametrize("one", [Standardise, RobustScale, MinMax])
@pytest.mark.parametrize("columns", [1, 63, 127, 128, 203])
def test_many_columns_are_scaled_as_all_at_once(one, columns):
    x = torch.randn(501, columns, generator=torch.Generator().manual_seed(0))
    part = one()
    part.fit(x)
    shift, scale = part._find(x.double())
    assert torch.equal(part.shift, shift)
    assert torch.equal(part.scale, scale)


@pytest.mark.parametrize("one", [Standardise(), RobustScale(), MinMax(low=2, high=3)])
def test_a_constant_column_is_shifted_and_told(one):
    x = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    x[:, 1] = 0.1
    transforms = Transforms([one])
    found = transforms.fit(x, Real())
    assert (found[:, 1] == getattr(one, "low", 0.0)).all()
    (warning,) = transforms.warnings
    assert "columns 1 (counted from 0) are constant in the training rows" in warning
    later = transforms(torch.tensor([[0.5, 0.4, 0.5]]))  # a later row in which it isn't
    assert later[0, 1].item() == pytest.approx(0.3 + getattr(one, "low", 0.0))
    torch.testing.assert_close(transforms.inverse(found), x)


def test_equal_quartiles_keep_the_unit():
    x = torch.zeros(40, 1)
    x[:5] = torch.arange(5.0)[:, None]
    transforms = Transforms([RobustScale()])
    assert torch.equal(transforms.fit(x, Real()), x)
    assert "have no spread by this measure" in transforms.warnings[0]


def test_ends_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="low should be below high; got 1 and 1"):
        MinMax(low=1, high=1)


@pytest.mark.parametrize("one", [Standardise, RobustScale, MinMax])
@pytest.mark.parametrize("per", ["number", "feature", "event"])
def test_a_mask_leaves_the_steps_that_count(x, one, per):
    lengths = torch.arange(len(x)) % 2 + 1
    mask = torch.arange(2) < lengths[:, None]
    masked, alone = one(per=per), one(per=per)
    masked.fit(torch.where(mask[..., None], x, 7e3), mask)
    if per == "number":
        alone.fit(x)
        long = one()
        long.fit(x[lengths == 2])
        torch.testing.assert_close(masked.shift, torch.stack([alone.shift[0], long.shift[1]]))
        torch.testing.assert_close(masked.scale, torch.stack([alone.scale[0], long.scale[1]]))
        return
    alone.fit(x[mask] if per == "feature" else x[mask].reshape(-1, 1))
    torch.testing.assert_close(masked.shift.flatten(), alone.shift)
    torch.testing.assert_close(masked.scale.flatten(), alone.scale)
    with pytest.warns(UserWarning, match="are constant in the training rows and are shifted"):
        one().fit(x, torch.tensor([True, False]).expand(len(x), 2))
