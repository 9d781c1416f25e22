"""Ackley's function: one deep hole in a rippled plain."""

from __future__ import annotations

import math

from torch import Tensor

from ebmcore import PositiveFloat
from ebmcore_analytic.analytic import Analytic
from ebmcore_analytic.constants import log_of, positive
from ebmcore_analytic.numerics.radius import radius


class Ackley(Analytic):
    """E(x) = a (1 - exp(-b ‖x‖/√d)) + e - exp(d⁻¹ Σᵢ cos c xᵢ) + ½ Σᵢ max(0, |xᵢ| - box)².

    The last term is a wall: without it (`box: null`) E is Ackley's function as it is published,
    which stays below a + e everywhere, so that exp(-E) can't be normalised to a density. With the
    wall it can; inside the box, where the function is meant to be used, the two are the same.
    log Z has no known closed form: `log_z` is None, and E has no exact sampler. With the default
    constants in few dimensions nearly all mass lies in the hole at 0.

    E has its minimum, 0, and a kink at x = 0; its derivatives there are 0 here. `learnable` trains
    log a, log b and log c.

    Shapes: x (batch, *event_shape), any -> (batch,), nats.
    Source: Ackley 1987, "A connectionist machine for genetic hillclimbing".

    Args:
        a: Depth of the hole, in nats.
        b: How fast the hole's side levels out, per unit of root mean square of x.
        c: Angular frequency of the ripples.
        box: Where the wall begins, in each coordinate on both sides of 0; null builds none.
        learnable: Whether a, b and c are trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "ackley"
    log_a: Tensor  # ()
    log_b: Tensor  # ()
    log_c: Tensor  # ()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        a: PositiveFloat = 20.0,
        b: PositiveFloat = 0.2,
        c: PositiveFloat = 2 * math.pi,
        box: PositiveFloat | None = 32.768,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        self.box = None if box is None else positive("box", box)
        self.hold(learnable, log_a=log_of("a", a), log_b=log_of("b", b), log_c=log_of("c", c))

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        rms = radius(x) / math.sqrt(self.features)
        hole = self.log_a.exp() * (1 - (-self.log_b.exp() * rms).exp())
        ripples = math.e - (self.log_c.exp() * x).cos().mean(1).exp()
        if self.box is None:
            return hole + ripples
        return hole + ripples + 0.5 * (x.abs() - self.box).relu().square().sum(1)
