"""A quadratic energy: E(x) = ½ ‖Lᵀ(x - μ)‖², the Gaussian with precision LLᵀ and mean μ."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ebmcore import PositiveFloat


class Quadratic(nn.Module):
    """E(x) = ½ ‖Lᵀ(x - μ)‖² over the flattened event; trains the precision LLᵀ and the mean μ.

    Shapes: (batch, *event) -> (batch,), nats. Twice differentiable.

    Args:
        scale: Initial standard deviation in every direction.
        event_shape: (runtime) The shape of one event.
    """

    def __init__(self, event_shape: tuple[int, ...], *, scale: PositiveFloat = 1.0) -> None:
        super().__init__()
        dimension = math.prod(event_shape)
        self.factor = nn.Parameter(torch.eye(dimension) / scale)
        self.mean = nn.Parameter(torch.zeros(dimension))

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event."""
        return 0.5 * ((x.flatten(1) - self.mean) @ self.factor).square().sum(1)
