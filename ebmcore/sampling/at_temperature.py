"""An energy at a temperature of each chain, for kernels that run others there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ebmcore.sampling.energy_checks import EnergyWrapper, check_energies


class AtTemperature(EnergyWrapper):
    """E(z) = β E₀(r z) with β = 1/T and the scale r of each chain: (chains, *event) -> (chains,).

    Its law is that of x/r for x ~ exp(-E₀(x)/T). With r = √T a kernel's step is √T times as wide
    in x, or T times for a step size in squared units of x: on a Gaussian all temperatures are then
    alike to the kernel.

    An energy's other methods, such as the conditionals of an RBM, aren't those of its temperature,
    so that it has none of them. Raises ValueError when E₀ doesn't return one value per chain.

    Args:
        energy: E₀.
        beta: β, (chains,); None: 1.
        scale: r, (chains,); None: 1.
    """

    def __init__(self, energy: Any, beta: Tensor | None, scale: Tensor | None = None) -> None:
        super().__init__(energy)
        self.beta = beta
        self.scale = scale
        self.keeps_graph = getattr(energy, "keeps_graph", False)

    def __call__(self, z: Tensor, **conditions: Tensor) -> Tensor:
        """Return the energies."""
        x = z if self.scale is None else self.scale.view(-1, *(1 for _ in z.shape[1:])) * z
        values: Tensor = self.energy(x, **conditions)
        check_energies(values, x)
        return values if self.beta is None else self.beta * values

    def of(self, energy: Any, change: Callable[[Tensor], Tensor]) -> AtTemperature:
        """Return another energy, with β and r of other chains."""
        rows = (None if row is None else change(row) for row in (self.beta, self.scale))
        return AtTemperature(energy, *rows)

    def of_rows(self, rows: slice) -> AtTemperature:
        """Return the energy of some rows of a batch."""
        inner = self.energy
        inner = inner.of_rows(rows) if isinstance(inner, EnergyWrapper) else inner
        return self.of(inner, lambda row: row[rows])
