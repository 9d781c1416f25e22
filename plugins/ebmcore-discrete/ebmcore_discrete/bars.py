"""Bars and stripes."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Binary, PositiveInt


class Bars:
    """Bars and stripes: a square of bits whose rows, or else columns, are each whole or empty.

    An orientation is chosen by a fair coin, then each bar by another. For a square of side s there
    are 2^(s+1) - 2 pictures: p = 2^-s for the empty and the full one, 2^-(s+1) for each other.
    Called, it draws (n, side, side) bits in torch's default dtype. `log_prob` and `entropy` are
    exact: log p is -∞ for any other picture. Its space is binary.
    Raises ValueError when a key is not positive.

    Source: MacKay 2003, "Information Theory, Inference, and Learning Algorithms", on Boltzmann
    machines with hidden units.

    Args:
        n: How many pictures are drawn.
        side: The number of rows and of columns.
        generator: (runtime) Random generator of the pictures.
    """

    space: ClassVar = Binary()

    def __init__(
        self, *, n: PositiveInt = 5000, side: PositiveInt = 4, generator: Generator | None = None
    ) -> None:
        if n < 1 or side < 1:
            raise ValueError(f"n and side should be positive; got n={n}, side={side}")
        self.n = n
        self.side = side
        self.generator = generator

    def __call__(self) -> Tensor:
        """Draw the pictures, (n, side, side)."""
        dtype = torch.get_default_dtype()
        bars = torch.randint(2, (self.n, 1, self.side), generator=self.generator)
        stands = torch.randint(2, (self.n, 1, 1), generator=self.generator).bool()
        whole = bars.expand(-1, self.side, -1)
        return torch.where(stands, whole, whole.mT).to(dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (m, side, side) -> (m,).

        Raises ValueError when x holds other events.
        """
        if tuple(x.shape[1:]) != (self.side, self.side):
            raise ValueError(
                f"log_prob takes pictures (m, {self.side}, {self.side}); got {tuple(x.shape)}"
            )
        is_binary = ((x == 0) | (x == 1)).flatten(1).all(1)
        stands = (x == x[:, :1, :]).flatten(1).all(1)
        lies = (x == x[:, :, :1]).flatten(1).all(1)
        ways = is_binary * (stands.to(x.dtype) + lies.to(x.dtype))
        return ways.log() - (self.side + 1) * math.log(2)

    @property
    def entropy(self) -> float:
        """-Σ p log p, in nats."""
        both = 2.0 ** (1 - self.side)  # P(empty or full), whose log p is higher by log 2
        return (self.side + 1 - both) * math.log(2)
