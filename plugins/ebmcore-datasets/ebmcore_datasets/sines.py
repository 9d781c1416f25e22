"""Noisy waves with a random phase."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt
from ebmcore_datasets.densities.curve import log_density_around
from ebmcore_datasets.densities.density import Noisy, refuse_unless_positive
from ebmcore_datasets.densities.rng import evenly, uniform


class Sines(Noisy):
    """Sine waves of random phase with Gaussian noise: xₜ = a sin(2π c t / length + φ) + std ε.

    t = 0 … length - 1, a is the amplitude, φ uniform on [0, 2π), and c one of `cycles`, each as
    likely. Called, it draws (n, length, 1) numbers in torch's default dtype.

    `log_prob` is the mean over c and φ of N(x; wave, std² I), the mean over φ by equally spaced
    phases: the integrand is periodic and entire, so that the rule converges faster than
    geometrically (Trefethen and Weideman 2014, "The exponentially convergent trapezoidal rule",
    SIAM Review 56, section 4). The phases are dense enough for 1e-9 of p at every x whose wave is
    up to four times the amplitude. `entropy` is estimated from 65,536 samples of a generator of its
    own, the same each time; `entropy_error` is its standard error, about 0.003 nats.
    Raises ValueError when a key is not positive, or a wave is too short for its steps (c at least
    half the length).

    Args:
        n: How many events are drawn.
        length: Steps of an event.
        cycles: How many waves an event holds, whole or not; one number for each kind of event.
        amplitude: Height of a wave above its middle, in units of x.
        std: Standard deviation of the noise on each step, in units of x.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        length: PositiveInt = 32,
        cycles: Sequence[PositiveFloat] = (2.0,),
        amplitude: PositiveFloat = 1.0,
        std: PositiveFloat = 0.1,
        generator: Generator | None = None,
    ) -> None:
        refuse_unless_positive(n=n, length=length, amplitude=amplitude, std=std)
        if not cycles or not all(0 < c < length / 2 for c in cycles):
            raise ValueError(
                f"cycles should be positive and below half the length, {length / 2:g}; "
                f"got {list(cycles)}"
            )
        self.n = n
        self.length = length
        self.cycles = torch.tensor(list(cycles), dtype=torch.float64)  # (k,)
        self.amplitude = amplitude
        self.std = std
        self.generator = generator
        self.event_shape = (length, 1)
        self.phases = 64 + math.ceil(15 * amplitude * math.sqrt(length) / std)
        self.terms = len(self.cycles) * max(self.phases, length)
        phase = 2 * math.pi / self.phases * torch.arange(self.phases, dtype=torch.float64)
        self._nodes = torch.cat([self._waves(c, phase) for c in self.cycles])  # (k phases, length)
        self._log_weights = self._nodes.new_full((len(self._nodes),), -math.log(len(self._nodes)))

    def _waves(self, cycles: Tensor, phase: Tensor) -> Tensor:
        """Return waves, () or (m,), (m,) -> (m, length)."""
        t = torch.arange(self.length, dtype=phase.dtype, device=phase.device)
        angle = 2 * math.pi / self.length * cycles.to(phase)[..., None] * t + phase[:, None]
        return self.amplitude * angle.sin()

    def _clean(self, n: int, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        which = evenly(len(self.cycles), n, generator)
        phase = 2 * math.pi * uniform((n,), generator, dtype)
        return self._waves(self.cycles.to(which.device)[which], phase)[..., None]

    def _log_density(self, x: Tensor) -> Tensor:
        return log_density_around(x.flatten(1), self._nodes, self._log_weights, self.std)
