"""A sampler: a Markov kernel, run for a fixed number of steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Generator, Tensor

from ebmcore.contracts import Energy, Sample, Start
from ebmcore.sampling.energy_checks import evaluating
from ebmcore.sampling.walk import Walk


class Sampler(NamedTuple):
    """A kernel and the number of its steps; a loss that names `sampler` gets one."""

    kernel: Any  # a Kernel, or an object with `sample(energy, x, n_steps, generator)`
    n_steps: int = 10

    def __call__(
        self, energy: Energy, start: Tensor | Start, generator: Generator | None
    ) -> Sample:
        """Run chains from where they start; no gradient flows through the result.

        Shapes: start (chains, *event), or a `Start` of such chains.
        """
        return run_kernel(self.kernel, energy, start, self.n_steps, generator)


def run_kernel(
    kernel: Any, energy: Energy, start: Tensor | Start, n_steps: int, generator: Generator | None
) -> Sample:
    """Run chains for n_steps; the info is the last step's."""
    with evaluating(energy):
        return Walk(kernel, energy, start, generator, n_steps=n_steps).go(n_steps)
