"""Transforms of masked data: fitted on the steps that count, padding kept at 0."""

import pytest
import torch

from ebmcore import Transform
from ebmcore.data import TransformError, Transforms, load_data, transform_data


class Centre(Transform):
    """x' = x - the mean of the steps that count."""

    def fit(self, x, mask=None):
        self.mean = x.mean() if mask is None else x[mask].mean()

    def __call__(self, x):
        return x - self.mean

    def inverse(self, x):
        return x + self.mean

    def log_abs_det(self, x):
        return x.new_zeros(len(x))


def seeded():
    return torch.Generator().manual_seed(0)


def transformed(data, transforms):
    found = load_data(data, holdout=0.25, generator=seeded(), dtype=torch.float32)
    return found, transform_data(found, Transforms(transforms), seeded())


def padded():
    x, lengths = torch.randn(20, 3, 1, generator=seeded()) + 4, torch.tensor([1, 3] * 10)
    return {"x": x, "lengths": lengths}


def test_padding_stays_0_through_transforms_that_know_masks():
    plain, data = transformed(padded, [Centre(), Centre()])
    mean = plain.x[plain.mask].mean()
    assert mean > 3
    for x, mask, before in (
        (data.x, data.mask, plain.x),
        (data.held_out, data.held_out_mask, plain.held_out),
    ):
        torch.testing.assert_close(x[mask], before[mask] - mean)
        assert (x[~mask] == 0).all()
        torch.testing.assert_close(data.transforms.inverse(x, mask=mask), before)
    assert data.held_out_log_det is None  # nobody knows a density of padded events
    mapped = data.transforms.before_draws(plain.x, mask=plain.mask)
    assert torch.equal(mapped, data.x)


def test_transforms_that_take_padding_for_data_are_refused():
    with pytest.raises(TransformError, match="the data have a mask, and this transform") as caught:
        transformed(padded, [Centre(), torch.exp])
    assert caught.value.index == 1
