"""Rosenbrock's banana, in the form whose constant is known."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt
from ebmcore_analytic.analytic import Analytic, exactly, normal
from ebmcore_analytic.constants import log_of


class Rosenbrock(Analytic):
    """E(x) = a (x₁ - μ)² + b Σⱼ Σᵢ (xⱼᵢ - xⱼ,ᵢ₋₁²)², xⱼ₀ = x₁: the Hybrid Rosenbrock law.

    x₁ is the first number of the flattened event; the others are `blocks` chains of equal length,
    one after the other, that each begin from x₁. The density factorises: x₁ ~ N(μ, 1/(2a)), then
    xⱼᵢ ~ N(xⱼ,ᵢ₋₁², 1/(2b)). So log Z = ½ log(π/a) + ½ (d - 1) log(π/b), and samples are exact. In
    the plane with the defaults, ((x₁ - 1)² + 100 (x₂ - x₁²)²) / 20. A chain squares its numbers
    again and again: more blocks keep them in range. `learnable` trains μ, log a and log b.

    Shapes: x (batch, *event_shape), two numbers or more -> (batch,), nats. Raises ValueError when
    an event has only one, or `blocks` doesn't divide the number of the others.
    Source: Pagani, Wiegand and Nadarajah 2022, "An n-dimensional Rosenbrock distribution for Markov
    chain Monte Carlo testing" (with one b for all).

    Args:
        mu: μ, the mean of x₁.
        a: Half the precision of x₁.
        b: Half the precision of every other number about the square of the one before.
        blocks: How many chains begin from x₁; 1 is one long chain.
        learnable: Whether μ, a and b are trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "rosenbrock"
    check_event_shapes = ((2,), (3, 1))
    mu: Tensor  # ()
    log_a: Tensor  # ()
    log_b: Tensor  # ()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        mu: float = 1.0,
        a: PositiveFloat = 0.05,
        b: PositiveFloat = 5.0,
        blocks: PositiveInt = 1,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        if self.features < 2:
            raise ValueError(f"takes events of two numbers or more; got shape {self.event_shape}")
        if blocks < 1 or (self.features - 1) % blocks:
            raise ValueError(
                f"blocks should divide the {self.features - 1} numbers after the first of events "
                f"of shape {self.event_shape}; got {blocks}"
            )
        self.blocks = blocks
        self.hold(learnable, mu=torch.tensor(float(mu)), log_a=log_of("a", a), log_b=log_of("b", b))

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        first = x[:, 0]
        chains = self._shared_out(x[:, 1:])
        begin = first[:, None, None].expand(-1, self.blocks, 1)
        before = torch.cat([begin, chains[:, :, :-1]], dim=2)
        bends = (chains - before.square()).square().sum((1, 2))
        return self.log_a.exp() * (first - self.mu).square() + self.log_b.exp() * bends

    @property
    def log_z(self) -> float:
        """½ log(π/a) + ½ (d - 1) log(π/b), in nats."""
        log_a, log_b = float(exactly(self.log_a)), float(exactly(self.log_b))
        others = self.features - 1
        return 0.5 * (self.features * math.log(math.pi) - log_a - others * log_b)

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, features)."""
        noise = normal(n, self.features, self.mu, generator)
        first = self.mu + (2 * self.log_a.exp()).rsqrt() * noise[:, 0]
        steps = (2 * self.log_b.exp()).rsqrt() * self._shared_out(noise[:, 1:])
        before = first[:, None].expand(-1, self.blocks)
        chains = []
        for step in steps.unbind(2):
            before = before.square() + step
            chains.append(before)
        return torch.cat([first[:, None], torch.stack(chains, dim=2).flatten(1)], dim=1)

    def _shared_out(self, others: Tensor) -> Tensor:
        """Split the numbers after the first into the chains, (batch, blocks, length)."""
        length = (self.features - 1) // self.blocks
        return others.reshape(others.shape[0], self.blocks, length)
