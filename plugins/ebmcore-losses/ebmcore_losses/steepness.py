"""Penalties on the slope of the energy, to add to a loss with a weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ebmcore import Energy, PositiveFloat, Real, conditioned, loss


def gradient_penalty(*, at_samples: bool = False) -> Callable[..., Tensor]:
    """Mean ‖∇E(x)‖² over the data, and over the samples with `at_samples`.

    Flattens the energy at those points, which keeps a sampler's steps small. It differs from score
    matching by more than the factor ½: without the Hessian's trace its only minimum is a constant,
    so add it to a loss.

    Args:
        at_samples: Add mean ‖∇E(x⁻)‖², x⁻ held constant; then it needs a sampler and chains.

    Shapes: x (batch, *event), x_neg (samples, *event) -> (), in squared nats per squared unit of
    x. Needs an energy that is twice differentiable in x and in its parameters.
    Source: the zero-centred gradient penalties of Mescheder, Geiger and Nowozin 2018, "Which
    training methods for GANs do actually converge?".
    """
    return gradient_penalty_at_both if at_samples else gradient_penalty_at_data


gradient_penalty.spaces = (Real,)  # type: ignore[attr-defined] # read before it builds the loss


@loss(spaces=(Real,), order=2, regulariser=True)  # it differentiates the score
def gradient_penalty_at_data(
    energy: Energy, x: Tensor, y: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Mean ‖∇E(x)‖²."""
    return squared_gradient(conditioned(energy, y=y, mask=mask), x)


@loss(spaces=(Real,), order=2, regulariser=True)  # it differentiates the score
def gradient_penalty_at_both(
    energy: Energy,
    x: Tensor,
    x_neg: Tensor,
    y: Tensor | None = None,
    y_neg: Tensor | None = None,
    mask: Tensor | None = None,
    mask_neg: Tensor | None = None,
) -> Tensor:
    """Mean ‖∇E(x)‖² + mean ‖∇E(x⁻)‖²."""
    at_data = squared_gradient(conditioned(energy, y=y, mask=mask), x)
    return at_data + squared_gradient(conditioned(energy, y=y_neg, mask=mask_neg), x_neg)


def squared_gradient(energy: Energy, x: Tensor) -> Tensor:
    """Return mean ‖∇E(x)‖², (), with its graph."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean()


@loss(spaces=(Real,), regulariser=True)  # a fact for ebmcore.testing
def noise_smoothness(
    energy: Energy,
    x: Tensor,
    generator: Generator | None,
    y: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    sigma: PositiveFloat = 0.1,
) -> Tensor:
    """Mean (E(x + σε) - E(x))², ε ~ N(0, I): energies should hardly change under noise on the data.

    As σ goes to 0 it goes to σ² mean ‖∇E(x)‖², the gradient penalty, without a second derivative.

    Args:
        sigma: σ, in units of x.

    Shapes: x (batch, *event) -> (), in nats². Needs an energy that is differentiable in its
    parameters alone.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    bound = conditioned(energy, y=y, mask=mask)
    return (bound(x + sigma * noise) - bound(x)).square().mean()
