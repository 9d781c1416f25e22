"""A sampler: a Markov kernel, run for a fixed number of steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Generator, Tensor

from ebmcore.contracts import Energy, Sample
from ebmcore.sampling.walk import Walk


class Sampler(NamedTuple):
    """A kernel and the number of its steps; a loss that names `sampler` gets one."""

    kernel: Any  # a Kernel, or an object with `sample(energy, x, n_steps, generator)`
    n_steps: int = 10

    def __call__(self, energy: Energy, x: Tensor, generator: Generator | None) -> Sample:
        """Run chains from x, (chains, *event); no gradient flows through the result."""
        return run_kernel(self.kernel, energy, x, self.n_steps, generator)


def run_kernel(
    kernel: Any, energy: Energy, x: Tensor, n_steps: int, generator: Generator | None
) -> Sample:
    """Run chains from x for n_steps; the info is the last step's."""
    return Walk(kernel, energy, x, generator).go(n_steps)
