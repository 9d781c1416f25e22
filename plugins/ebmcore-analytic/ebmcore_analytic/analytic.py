"""The interface of energies with known answers: log Z, and exact samples of exp(-E)/Z."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn


class Analytic(nn.Module):
    """An energy over flattened events, (batch, *event_shape) -> (batch,), in nats.

    A subclass defines `energy`, and `log_z` and `draw` where they are known. Its constants are
    buffers, or parameters when they are trained; positive ones are kept as their logs, so that
    they stay positive. `forward` raises ValueError for events of another shape.
    """

    name: ClassVar[str] = "analytic"

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.features = math.prod(self.event_shape)

    def hold(self, learnable: bool, **constants: Tensor) -> None:
        """Register the constants under their names, as parameters or as buffers."""
        for name, value in constants.items():
            if learnable:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, *event_shape) -> (batch,)."""
        if x.ndim == 0 or tuple(x.shape[1:]) != self.event_shape:
            found = tuple(x.shape[1:]) if x.ndim else "a single number"
            raise ValueError(
                f"energy {self.name} was built for events of shape {self.event_shape}; got {found}"
            )
        return self.energy(x.reshape(x.shape[0], self.features))

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        raise NotImplementedError

    @property
    def log_z(self) -> float | None:
        """Log ∫ exp(-E(x)) dx in nats, for the current constants; None when it is not known."""
        return None

    @property
    def can_sample(self) -> bool:
        """Whether `sample` can draw."""
        return type(self).draw is not Analytic.draw

    @torch.no_grad()
    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n independent events of exp(-E)/Z, (n, *event_shape).

        In the dtype and on the device of the energy's constants, where the generator must be too;
        without one, from torch's global stream. Raises ValueError when n is not positive, and when
        `can_sample` is false.
        """
        if not self.can_sample:
            raise ValueError(f"energy {self.name} has no exact sampler; run a kernel on it")
        if n < 1:
            raise ValueError(f"n should be at least 1; got {n}")
        return self.draw(n, generator).reshape(n, *self.event_shape)

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, features)."""
        raise NotImplementedError


def normal(n: int, features: int, like: Tensor, generator: Generator | None) -> Tensor:
    """Draw N(0, I), (n, features), in the dtype and on the device of a tensor."""
    return torch.randn((n, features), generator=generator, device=like.device, dtype=like.dtype)


def uniform(n: int, features: int, like: Tensor, generator: Generator | None) -> Tensor:
    """Draw U[0, 1), (n, features), in float64 on the device of a tensor."""
    size = (n, features)
    return torch.rand(size, generator=generator, device=like.device, dtype=torch.float64)


def exactly(value: Tensor) -> Tensor:
    """Return a constant on the CPU in float64, without its graph."""
    return value.detach().to("cpu", torch.float64)
