"""Penalties to add to a loss with a weight: on the size of energies, on that of parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ebmcore import Energy, conditioned, loss


@loss(regulariser=True, shift_invariant=False)  # facts for ebmcore.testing
def energy_magnitude(
    energy: Energy,
    x: Tensor,
    x_neg: Tensor,
    y: Tensor | None = None,
    y_neg: Tensor | None = None,
    mask: Tensor | None = None,
    mask_neg: Tensor | None = None,
) -> Tensor:
    """Mean E(x)² + mean E(x⁻)²: keeps the energies near 0, and damps the swings of PCD.

    A density depends on energy differences only, so contrastive divergence lets E drift by any
    constant; this penalty does not: it is *not* invariant to E + c.

    Shapes: x (batch, *event), x_neg (samples, *event) -> (), in nats². x_neg is held constant.
    Source: Du and Mordatch 2019, "Implicit generation and modeling with energy-based models"
    (its weight α is `weight` here).
    """
    of_data = conditioned(energy, y=y, mask=mask)(x)
    of_samples = conditioned(energy, y=y_neg, mask=mask_neg)(x_neg.detach())
    return of_data.square().mean() + of_samples.square().mean()


@loss(regulariser=True)  # a fact for ebmcore.testing
def l2_parameters(energy: nn.Module) -> Tensor:
    """Σθ²: the squared norm of all trained parameters.

    Shapes: -> (). Raises ValueError when the energy has no parameters.
    """
    return torch.stack([p.square().sum() for p in _trained(energy)]).sum()


@loss(regulariser=True)  # a fact for ebmcore.testing
def l1_parameters(energy: nn.Module) -> Tensor:
    """Σ|θ|: the sizes of all trained parameters, a sum that draws those that matter less to 0.

    Shapes: -> (). Raises ValueError when the energy has no parameters.
    Source: Tibshirani 1996, "Regression shrinkage and selection via the lasso"; for the couplings
    of Ising models Ravikumar, Wainwright and Lafferty 2010.
    """
    return torch.stack([p.abs().sum() for p in _trained(energy)]).sum()


def _trained(energy: nn.Module) -> list[Tensor]:
    trained: list[Tensor] = [p for p in energy.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("the energy has no parameters to penalise")
    return trained
