"""Losses of sequences of different length: the mean of those of the shorter ones, one by one."""

import pytest
import torch
from ebmcore_losses import (
    DenoisingScoreMatching,
    ImprovedCD,
    NoiseContrastive,
    contrastive_divergence,
    energy_discrepancy,
    energy_magnitude,
    gradient_penalty,
    multilevel_denoising,
    noise_smoothness,
    score_matching,
    sliced_score_matching,
)
from ebmcore_losses.denoising import denoising
from ebmcore_losses.discrepancy import discrepancy
from ebmcore_losses.sliced import sliced
from torch import nn

from ebmcore import Kernel, Sampler, energy_and_score, given, without_padding
from ebmcore.config import loss_slots

N, T = 5, 4
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1], [1, 1, 1, 0]]).bool()


class Steps(nn.Module):
    """E = Σ w x⁴ + (Σ x)³ t / L over the L steps that count, whose numbers don't part."""

    sigmas = torch.tensor([2.0, 0.5, 0.1], dtype=torch.float64)

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.3, 1.1], dtype=torch.float64))

    def forward(self, x, t=1.0, mask=None):
        length = x.shape[1] if mask is None else mask.sum(1)
        x = without_padding(x, mask)
        return (self.w * x**4).sum((1, 2)) + t * x.sum((1, 2)) ** 3 / length


class Descent(Kernel):
    def init(self, energy, x):
        return type("State", (), {"x": x})

    def noise(self, x, generator):
        return ()

    def step(self, energy, state, noise):
        return self.init(energy, state.x + 0.01 * energy_and_score(energy, state.x)[1]), None


def events(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(N, T, 2, generator=generator, dtype=torch.float64)


def value(loss, x, mask=MASK, x_neg=None, mask_neg=None):
    slots = {
        "energy": Steps(), "x": x, "x_neg": x_neg, "y": None, "y_neg": None,
        "mask": mask, "mask_neg": mask_neg, "sampler": Sampler(Descent(), 1),
        "generator": torch.Generator().manual_seed(3),
    }  # fmt: skip
    found = loss(**{name: slots[name] for name in loss_slots(loss)})
    return (found[0] if isinstance(found, tuple) else found).detach()


def drawn(shape, generator=None):
    generator = generator or torch.Generator().manual_seed(3)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def one_by_one(of_one, x):
    """The mean over the events of a function of (shorter event, its steps, its number)."""
    terms = [
        of_one(event[steps][None], steps, i)
        for i, (event, steps) in enumerate(zip(x, MASK, strict=True))
    ]
    return torch.stack(terms).mean().detach()


def denoised(x):
    noise = drawn(x.shape)
    return one_by_one(lambda e, m, i: denoising(Steps(), e, noise[i, m][None], 0.2), x)


def at_levels(x):
    generator = torch.Generator().manual_seed(3)
    sigma = Steps.sigmas[torch.randint(3, (N,), generator=generator)]
    noise = drawn(x.shape, generator)
    return one_by_one(
        lambda e, m, i: denoising(given(Steps(), t=sigma[i]), e, noise[i, m][None], sigma[i]), x
    )


def along_directions(x):
    bits = torch.randint(2, (1, N, T * 2), generator=torch.Generator().manual_seed(3))
    v = (2.0 * bits.double() - 1).reshape(N, T, 2)
    return one_by_one(
        lambda e, m, i: sliced(Steps(), e, v[i, m].reshape(1, 1, -1), variance_reduced=True), x
    )


def discrepant(x):
    noise = drawn((17, *x.shape))
    noised = x + 0.5 * noise[:1] + 0.5 * noise[1:]
    return one_by_one(lambda e, m, i: discrepancy(Steps(), e, noised[:, i, m][:, None], 1.0), x)


def smooth(x):
    noise = drawn(x.shape)
    return one_by_one(
        lambda e, m, i: (Steps()(e + 0.1 * noise[i, m]) - Steps()(e)).square().mean(), x
    )


LAWS = {
    "denoising": (DenoisingScoreMatching(sigma=0.2), denoised),
    "multilevel": (multilevel_denoising, at_levels),
    "exact": (score_matching, lambda x: one_by_one(lambda e, *_: score_matching(Steps(), e), x)),
    "sliced": (sliced_score_matching, along_directions),
    "discrepancy": (energy_discrepancy, discrepant),
    "smoothness": (noise_smoothness, smooth),
    "penalty": (
        gradient_penalty(),
        lambda x: one_by_one(lambda e, *_: gradient_penalty()(Steps(), e), x),
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_loss_is_the_mean_of_those_of_the_shorter_sequences(name):
    loss, alone = LAWS[name]
    x = events()
    found = value(loss, x)
    torch.testing.assert_close(found, alone(x))
    assert torch.equal(found, value(loss, torch.where(MASK[..., None], x, 7e3)))
    assert value(loss, x, None) != pytest.approx(found.item(), rel=1e-3)


@pytest.mark.parametrize(
    "loss",
    [contrastive_divergence, ImprovedCD(), energy_magnitude, gradient_penalty(at_samples=True)],
    ids=["cd", "improved", "magnitude", "penalty"],
)
def test_samples_have_masks_of_their_own(loss):
    x, other, of_samples = events(), events(1), MASK.flip(0)
    found = value(loss, x, MASK, other, of_samples)
    changed = torch.where(of_samples[..., None], other, 7e3)
    assert torch.equal(found, value(loss, x, MASK, changed, of_samples))
    assert value(loss, x, MASK, other, MASK) != pytest.approx(found.item(), rel=1e-3)


def test_losses_that_masks_do_not_suit():
    with pytest.raises(ValueError, match="sequences of different length have none; set its entr"):
        value(ImprovedCD(entropy=0.3), events(), MASK, events(1), MASK)
    value(ImprovedCD(entropy=0.3, kl_weight=0.0), events(), MASK, events(1), MASK)
    assert "mask" not in loss_slots(NoiseContrastive(events()))  # so that a run refuses it
