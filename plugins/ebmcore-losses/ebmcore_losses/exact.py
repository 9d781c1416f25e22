"""Score matching: ½‖∇E‖² less the trace of the Hessian of E, the trace exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from ebmcore import Energy, Real, conditioned, loss
from ebmcore_losses.numerics.third_derivatives import ThirdDerivatives, refuse_fused


# it differentiates the score; meaningless where ΔE is 0
@loss(spaces=(Real,), order=2, needs_curvature=True)
def score_matching(
    energy: Energy, x: Tensor, y: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Mean of ½‖∇E(x)‖² - ΔE(x): the distance of the scores, up to a constant of the data.

    ΔE is the trace of the Hessian of E in x. By parts, the mean is that of
    ½‖∇E(x) + ∇ log p_data(x)‖² less a constant, so it is minimal where E is that of the data; its
    value may have any sign, and only differences are meaningful. Without the trace a constant E
    would be minimal, so energies that are piecewise linear in x are refused.

    One gradient, and one more for each element of an event: exact, and expensive in many
    dimensions, where `sliced_score_matching` costs one more for each projection. It assumes that
    each event's energy depends on that event alone. With an energy that takes a mask it is the mean
    of that of the shorter sequences: the numbers that don't count have no slope.

    Shapes: x (batch, *event) -> (), in squared nats per squared unit of x. Needs an energy that is
    twice differentiable in x. Raises ValueError when the energy normalises by a batch's statistics,
    or calls a fused layer norm from TorchScript: torch gets their third derivatives wrong.
    Source: Hyvärinen 2005, "Estimation of non-normalized statistical models by score matching".
    """
    x = x.detach().requires_grad_()
    gradient = gradient_at(conditioned(energy, y=y, mask=mask), x)
    return (0.5 * gradient.square().sum(1) - laplacian(gradient, x)).mean()


def gradient_at(energy: Energy, x: Tensor) -> Tensor:
    """Return ∇E(x), flattened, with its graph: (batch, *event) -> (batch, elements).

    The graph can be differentiated twice more: by x for a Hessian, then by the parameters.
    """
    with ThirdDerivatives():
        values = energy(x)
    refuse_fused(values)
    (gradient,) = torch.autograd.grad(values.sum(), x, create_graph=True)
    return gradient.flatten(1)


def laplacian(gradient: Tensor, x: Tensor) -> Tensor:
    """Return ΔE at x, (batch,), of the gradient there, (batch, elements)."""
    diagonal = [along(gradient[:, i].sum(), x)[:, i] for i in range(gradient.shape[1])]
    return torch.stack(diagonal).sum(0)


def along(slope: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of a number in x, flattened, with its graph; 0 where it has none."""
    (row,) = torch.autograd.grad(slope, x, create_graph=True, materialize_grads=True)
    return row.flatten(1)
