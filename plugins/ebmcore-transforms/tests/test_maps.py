"""Ranks, whole numbers, log odds, bits, margins and augmentations, at their ends."""

import math

import pytest
import torch
from ebmcore_transforms import Augment, Dequantise, Logit, OneHot, Pad, RankGaussian, Standardise

from ebmcore import Binary, Categorical, DataError, Real, Transforms


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_ranks_become_normal_scores():
    x = torch.rand(999, 1, generator=seeded()).exp()
    found = Transforms([RankGaussian(knots=2000)]).fit(x, Real())[:, 0]
    rank = x[:, 0].argsort().argsort()
    expected = torch.special.ndtri((rank.double() + 0.5) / 999)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    assert abs(found.std() - 1) < 0.01


def test_ranks_are_finite_and_rising_beyond_the_training_rows():
    x = torch.randn(500, 1, generator=seeded()) ** 3
    for knots in (5, 100):
        transforms = Transforms([RankGaussian(knots=knots)])
        transforms.fit(x, Real())
        wide = torch.linspace(-200, 200, 20001)[:, None]
        found = transforms(wide)
        assert (found.diff(dim=0) > 0).all()
        torch.testing.assert_close(transforms.inverse(found), wide, rtol=1e-4, atol=1e-4)
        far = transforms(torch.tensor([[-1e30], [1e30]]))
        assert far.isfinite().all()
        assert transforms.parts[0].log_abs_det(wide).isfinite().all()


def test_ties_and_constants_have_ranks_too():
    x = torch.tensor([[0.0, 4.0]] * 30 + [[1.0, 4.0]] * 10)
    transforms = Transforms([RankGaussian()])
    found = transforms.fit(x, Real())
    scores = torch.special.ndtri(torch.tensor([15 / 40, 35 / 40]))
    torch.testing.assert_close(found[[0, -1], 0], scores)
    assert (found[:, 1] == 0).all()
    assert "columns 1 (counted from 0) are constant" in transforms.warnings[0]
    assert torch.equal(transforms.inverse(found), x)


@pytest.mark.parametrize("k", [2, 5, 256, 65536])
def test_whole_numbers_come_back_from_every_draw(k):
    x = torch.randint(k, (20000, 2), generator=seeded())
    transforms = Transforms([Dequantise()])
    found = transforms.fit(x, Categorical(k), seeded(1))
    assert transforms.space == Real(0.0, 1.0)
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(transforms.inverse(found), x)
    assert torch.equal(transforms.inverse(transforms(x)), x)
    if k < 1000:
        noise = found * k - x
        assert abs(noise.mean() - 0.5) < 5 / math.sqrt(12 * noise.numel())


def test_images_of_grey_levels_go_to_the_line_and_back():
    x = torch.randint(16, (60, 4, 4), generator=seeded()).float() / 15
    scale = [Dequantise(levels=16), Logit(alpha=1e-6), Standardise(per="event")]
    with pytest.raises(DataError, match=r"whole numbers from 0 to 15.*min_max, high: 15"):
        Transforms(scale).fit(x, Real(), seeded())
    from ebmcore_transforms import MinMax

    transforms = Transforms([MinMax(high=15, per="event"), *scale])
    found = transforms.fit(x, Real(), seeded())
    assert found.isfinite().all()
    torch.testing.assert_close(transforms.inverse(found), x, rtol=0, atol=1e-6)
    assert found.mean().abs() < 1e-3


def test_log_odds_and_their_log_det_by_hand():
    x = torch.tensor([[0.25, 0.5]], dtype=torch.float64)
    s = 0.1 + 0.8 * 0.25
    logit = Logit(alpha=0.1)
    assert logit(x)[0].tolist() == pytest.approx([math.log(s / (1 - s)), 0.0])
    expected = math.log(0.8 / (s * (1 - s))) + math.log(0.8 / 0.25)
    assert logit.log_abs_det(x).item() == pytest.approx(expected)


def test_log_odds_are_finite_at_both_ends_and_beyond():
    ends = torch.tensor([[0.0], [1.0], [-0.5], [1.5]])
    logit = Logit(alpha=1e-6)
    logit.fit(ends[:2])
    found = logit(ends)
    expected = math.log(1e-6 / (1 - 1e-6))
    torch.testing.assert_close(found[:, 0], expected * torch.tensor([1.0, -1.0, 1.0, -1.0]))
    assert logit.log_abs_det(ends).isfinite().all()
    with pytest.raises(
        ValueError, match=r"training rows are from -0\.5 to 1\.5\. Scale them first"
    ):
        logit.fit(ends)
    with pytest.raises(ValueError, match="between 0 and 1, without them"):
        Logit(alpha=0).fit(ends[:2])


def test_categories_become_bits_and_come_back():
    x = torch.tensor([[0, 2], [1, 1]])
    transforms = Transforms([OneHot()])
    found = transforms.fit(x, Categorical(3))
    assert found.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]]]
    assert (transforms.space, found.dtype) == (Binary(), torch.float32)
    assert torch.equal(transforms.inverse(found), x)
    other = torch.cat([found, torch.ones(1, 2, 3)])
    assert transforms.preimage(other)[2].tolist() == [
        True,
        True,
        False,
    ]  # those are no event's bits
    real = Transforms([OneHot(real=True)])
    real.fit(x, Categorical(3))
    assert (real.space, real.without_log_det) == (Real(), "OneHot")
    with pytest.raises(DataError, match="say how many categories there are"):
        Transforms([OneHot()]).fit(x.float(), Real())


def test_a_margin_is_put_around_and_cut_off():
    x = torch.rand(3, 2, 4, 5, generator=seeded())
    transforms = Transforms([Pad(to=[7, 8], value=0.5)])
    found = transforms.fit(x, Real())
    assert found.shape == (3, 2, 7, 8)
    assert torch.equal(found[:, :, 1:5, 1:6], x)
    assert found[:, :, 0].unique().tolist() == [0.5]
    assert torch.equal(transforms.inverse(found), x)
    with pytest.raises(DataError, match=r"can't pad events of shape \(2, 4, 5\) to \[3, 8\]"):
        Transforms([Pad(to=[3, 8])]).fit(x, Real())
    with pytest.raises(DataError, match=r"value: .* binary events hold"):
        Transforms([Pad(to=[7, 8], value=0.5)]).fit(x.round(), Binary())


def test_images_are_flipped_shifted_and_cropped():
    x = torch.arange(1.0, 31.0).reshape(1, 5, 6).repeat(4000, 1, 1)
    flip, shift, crop = Augment(flip=True), Augment(shift=1), Augment(crop=3)
    flipped = flip(x, generator=seeded())
    mirrored = (flipped == x.flip(-1)).flatten(1).all(1)
    assert ((flipped == x).flatten(1).all(1) ^ mirrored).all()
    assert abs(mirrored.float().mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)
    wide = torch.nn.functional.pad(x[:1], (1, 1, 1, 1))
    allowed = {
        tuple(wide[0, i : i + 5, j : j + 6].flatten().tolist()) for i in range(3) for j in range(3)
    }
    found = {tuple(image.flatten().tolist()) for image in shift(x, generator=seeded())}
    assert found == allowed
    cut = crop(x, generator=seeded())
    assert cut.shape == (4000, 3, 3)
    assert len(cut.unique(dim=0)) == 12  # each of 3 × 4 places
    assert torch.equal(crop(x)[0], x[0, 1:4, 1:4])
    with pytest.raises(ValueError, match="changes nothing"):
        Augment()
    with pytest.raises(ValueError, match=r"takes images \(…, height, width\)"):
        flip.fit(torch.zeros(4, 3))
