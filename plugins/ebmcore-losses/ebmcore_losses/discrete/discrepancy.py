"""Energy discrepancy of bits and of categories: events are moved at random, and back."""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor

from ebmcore import (
    Binary,
    Categorical,
    Energy,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Probability,
    Space,
)
from ebmcore_losses.discrepancy import discrepancy
from ebmcore_losses.discrete.neighbours import number_of_values
from ebmcore_losses.discrete.perturbations import Perturbation, perturb, transition


class DiscreteEnergyDiscrepancy:
    """Mean log(w/M + M⁻¹ Σⱼ exp(E(x) - E(xⱼ))), y ~ q(· | x) and the M xⱼ ~ q(· | y).

    y is the event moved at random, each xⱼ where it may have come from: q is symmetric. As M grows
    the minimum is the energy of the data, if w is small beside M. Moves that are too small leave
    modes far from each other unconnected, with wide ones the M samples miss where the data may have
    come from. M + 1 evaluations of the energy an event, no gradient in x. Its value is not a
    likelihood. Of real events it is `energy_discrepancy`.

    Shapes: x (batch, *event) -> (), in nats, of any sign. Raises ValueError when the events are
    categories and the space is not given, or epsilon isn't between 0 and 1.
    Source: Schröder, Ou, Li and Duncan 2024, "Energy-based modelling for discrete and mixed data
    via heat equations on structured spaces".

    Args:
        perturbation: bernoulli changes each number with probability ε, to any other value, which
            for bits is a flip; cyclic and ordinal let each diffuse for a time t among values in a
            ring, or in a row; grid changes one number to any other value.
        epsilon: ε of bernoulli.
        time: t of cyclic and ordinal, in which a number passes to each value beside it at rate 1.
        samples: M, samples for each event.
        stabiliser: w; over 0 it bounds the loss below by log(w/M), and keeps it from raising the
            energies of moved events without end.
        space: (runtime) The set that events live in; by default binary.
    """

    spaces: ClassVar = (Binary, Categorical)

    def __init__(
        self,
        perturbation: Perturbation = "bernoulli",
        *,
        epsilon: Probability = 0.1,
        time: PositiveFloat = 0.5,
        samples: PositiveInt = 32,
        stabiliser: NonNegativeFloat = 1.0,
        space: Space | None = None,
    ) -> None:
        if perturbation not in ("bernoulli", "cyclic", "ordinal", "grid"):
            raise ValueError(
                f"perturbation should be bernoulli, cyclic, ordinal or grid; got {perturbation!r}"
            )
        if not 0 < epsilon < 1:
            raise ValueError(f"epsilon should lie between 0 and 1; got {epsilon:g}")
        self.perturbation: Perturbation = perturbation
        self.samples = samples
        self.stabiliser = stabiliser
        self.space = space
        self.k = space.k if isinstance(space, Categorical) else 2
        self.kernel = transition(perturbation, self.k, epsilon, time)

    def fitted_scale(self, scale: float) -> None:
        """Return None, for ebmcore.testing: with few samples the fitted law isn't known."""

    def __call__(
        self, energy: Energy, x: Tensor, generator: Generator | None, y: Tensor | None = None
    ) -> Tensor:
        """Return the loss, ()."""
        number_of_values("discrete_energy_discrepancy", self.space, x)
        around = perturb(x, self.k, self.perturbation, self.kernel, self.samples, generator)
        return discrepancy(energy, x, around.origins, self.stabiliser, y)
