"""Energy discrepancy: compares the energy of data and of points around it, without the score."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import (
    Energy,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Real,
    conditioned,
    loss,
)


def _fitted_scale(scale: float) -> None:
    """Return None: with few samples the fitted Gaussian is not quite the data's, and not known."""


@loss(spaces=(Real,), fitted_scale=_fitted_scale)  # a fact for ebmcore.testing
def energy_discrepancy(
    energy: Energy,
    x: Tensor,
    generator: Generator | None,
    y: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    sigma: PositiveFloat = 0.5,
    samples: PositiveInt = 16,
    stabiliser: NonNegativeFloat = 1.0,
) -> Tensor:
    """Mean log(w/M + M⁻¹ Σⱼ exp(E(x) - E(x + σε₀ + σεⱼ))), ε₀ and the M εⱼ ~ N(0, I).

    ε₀ moves the point and is shared by all M samples; they integrate over where it may have come
    from. As M grows the minimum is the energy of the data whatever σ is: the loss tends to
    𝔼 E(x) + 𝔼 log ∫ N(x′; x + σε₀, σ²I) exp(-E(x′)) dx′. With small σ it nears score matching,
    with large σ maximum likelihood. Few samples bias it, the more so the larger σ and the
    dimension are. Its value is not a likelihood. With an energy that takes a mask it is the mean of
    that of the shorter sequences, since noise on the other steps changes no energy.

    Args:
        sigma: σ, standard deviation of each of the two moves, in units of x.
        samples: M, samples for each event; the energy is evaluated M + 1 times.
        stabiliser: w; over 0 it bounds the loss below by log(w/M), and keeps it from raising the
            energies of noised points without end.

    Shapes: x (batch, *event) -> (), in nats, of any sign.
    Source: Schröder, Ou, Lim, Li, Vollmer and Duncan 2023, "Energy discrepancies: a
    score-independent loss for energy-based models" (its t is σ²).
    """
    draws = torch.randn(
        (samples + 1, *x.shape), generator=generator, device=x.device, dtype=x.dtype
    )
    noised = x + sigma * draws[:1] + sigma * draws[1:]
    return discrepancy(energy, x, noised, stabiliser, y, mask)


def discrepancy(
    energy: Energy,
    x: Tensor,
    noised: Tensor,
    stabiliser: float,
    y: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the loss for given noised points, (samples, batch, *event)."""
    samples, batch = noised.shape[:2]
    at_noised = conditioned(energy, y=copies(y, samples), mask=copies(mask, samples))
    of_noised = at_noised(noised.flatten(0, 1)).view(samples, batch)
    contrast = conditioned(energy, y=y, mask=mask)(x) - of_noised
    if stabiliser:
        floor = torch.full_like(contrast[:1], math.log(stabiliser))
        contrast = torch.cat([contrast, floor])
    return contrast.logsumexp(0).mean() - math.log(samples)


def copies(y: Tensor | None, n: int) -> Tensor | None:
    """Repeat labels or masks, (batch, …), for n copies of a batch, one after the other."""
    return None if y is None else y.repeat(n, *(1 for _ in y.shape[1:]))
