"""Sliced score matching: the Hessian's trace, estimated along random directions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from ebmcore import Energy, PositiveInt, Real, conditioned, loss
from ebmcore_losses.exact import along, gradient_at


# it differentiates the score; meaningless where ΔE is 0
@loss(spaces=(Real,), order=2, needs_curvature=True)
def sliced_score_matching(
    energy: Energy,
    x: Tensor,
    generator: Generator | None,
    y: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    projections: PositiveInt = 1,
    kind: Literal["rademacher", "normal"] = "rademacher",
    variance_reduced: bool = True,
) -> Tensor:
    """Mean over v of ½‖∇E(x)‖² - vᵀ∇²E(x)v, whose mean over all v is exact score matching.

    Without variance reduction, ½(vᵀ∇E(x))² stands for ½‖∇E(x)‖²; v has mean square I, so the mean
    is the same. One gradient, and one more for each projection, whatever the dimension. The value
    may have any sign, and only differences are meaningful. With an energy that takes a mask it is
    the mean of that of the shorter sequences: the numbers that don't count have no slope.

    Args:
        projections: How many v are drawn for each event.
        kind: Law of v's elements: rademacher is ±1, which has the smaller variance, or normal.
        variance_reduced: Take ½‖∇E‖² itself rather than its estimate ½(vᵀ∇E)².

    Shapes: x (batch, *event) -> (), in squared nats per squared unit of x. Needs an energy that is
    twice differentiable in x, and not piecewise linear.
    Source: Song, Garg, Shi and Ermon 2019, "Sliced score matching: a scalable approach to density
    and score estimation" (SSM, and SSM-VR with variance reduction).
    """
    shape = (projections, len(x), x[0].numel())
    if kind == "normal":
        directions = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
    else:
        bits = torch.randint(2, shape, generator=generator, device=x.device)
        directions = 2 * bits.to(x.dtype) - 1
    bound = conditioned(energy, y=y, mask=mask)
    return sliced(bound, x, directions, variance_reduced=variance_reduced)


def sliced(energy: Energy, x: Tensor, directions: Tensor, *, variance_reduced: bool) -> Tensor:
    """Return the objective along given directions, (projections, batch, elements)."""
    x = x.detach().requires_grad_()
    gradient = gradient_at(energy, x)
    terms = []
    for v in directions:
        slope = (gradient * v).sum(1)
        curvature = (along(slope.sum(), x) * v).sum(1)
        square = gradient.square().sum(1) if variance_reduced else slope.square()
        terms.append(0.5 * square - curvature)
    return torch.stack(terms).mean()
