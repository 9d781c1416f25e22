"""One energy without another: where the first is likely and the second is not."""

from __future__ import annotations

import warnings
from typing import ClassVar

import torch
from torch import Tensor

from ebmcore import Energy, PositiveFloat
from ebmcore_analytic.combine import (
    Combination,
    log_cosh,
    module_from,
    one_each,
    parabola,
    quadratic_of,
    without_values,
)
from ebmcore_analytic.numerics.quadratic import Quadratic


class Negated(Combination):
    """E(x) = E_a(x) + α log(exp(-E_b(x)) + exp(-bound)): p ∝ p_a / (p_b + ε)^α, "a and not b".

    Where E_b is far below the bound it is E_a - α E_b; where E_b is far above it, E_a - α bound. So
    b repels as far as it reaches, and no further: exp(-E) is at most exp(α bound) exp(-E_a), and
    normalisable wherever exp(-E_a) is. The bound is in nats of E_b as it stands, whose lowest value
    should be below it. Both energies that are modules are trained too.

    Without a bound, E_a - α E_b falls for ever where E_b grows faster than E_a. Of two Gaussians
    that is refused when it does; of others it can't be told, so that a warning says it. `log_z` and
    `sample` are there for Gaussians without a bound.

    Shapes: x (batch, *event), as the energies take it -> (batch,), nats. Raises ValueError when
    alpha is not positive, an energy doesn't return one value per event, or the bound is null and
    exp(-E) of two Gaussians has no integral.
    Source: Du, Li and Mordatch 2020, "Compositional visual generation with energy based models",
    whose negation is without bound; Du et al. 2023, "Reduce, reuse, recycle".

    Args:
        energy: E_a, a node of its own or a reference to one.
        other: E_b, likewise.
        alpha: α, how strongly b repels.
        bound: The highest value of E_b that counts, in nats; null sets none.
    """

    name: ClassVar[str] = "negated"
    check_params: ClassVar[dict[str, object]] = {"energy": parabola, "other": log_cosh}

    def __init__(
        self,
        energy: Energy,
        other: Energy,
        *,
        alpha: PositiveFloat = 1.0,
        bound: float | None = 10.0,
    ) -> None:
        super().__init__()
        if not alpha > 0:
            raise ValueError(f"alpha should be positive; got {alpha}")
        self.energy = module_from(energy)
        self.other = module_from(other)
        self.alpha = alpha
        self.bound = bound
        if bound is not None or without_values(self):
            return
        whole = self.quadratic()
        if whole is None:
            warnings.warn(
                "negated without a bound: E_a - alpha E_b may have no normalisable density; set "
                "bound",
                RuntimeWarning,
                stacklevel=2,
            )
        elif whole.log_z() is None:
            raise ValueError(
                f"E_a - {alpha:g} E_b of these Gaussians has no normalisable density, since E_b "
                "grows faster: set bound, or a smaller alpha"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, *event) -> (batch,)."""
        kept = one_each("the energy", self.energy(x), x)
        other = one_each("other", self.other(x), x)
        if self.bound is None:
            return kept - self.alpha * other
        return kept + self.alpha * torch.logaddexp(-other, torch.full_like(other, -self.bound))

    def quadratic(self) -> Quadratic | None:
        """Return E as ½ xᵀPx - bᵀx + c, or None when it isn't known to be quadratic."""
        one, other = quadratic_of(self.energy), quadratic_of(self.other)
        if one is None or other is None or self.bound is not None:
            return None
        return one.plus(other.times(-self.alpha))
