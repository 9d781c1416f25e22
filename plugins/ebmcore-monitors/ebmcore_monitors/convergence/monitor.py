"""The monitor `convergence`: whether the chains of a model's samples agree, and on what."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from ebmcore import NonNegativeInt, PositiveInt, RunView
from ebmcore_monitors.convergence.plots import plot_energies, plot_ranks, plot_traces
from ebmcore_monitors.points.mixed import mixing_of
from ebmcore_monitors.statistics.diagnosis import diagnose

if TYPE_CHECKING:
    from ebmcore_monitors.points.mixed import Followed


BRIEF = ("mcse_mean", "ess_bulk", "ess_tail", "rhat")  # the numbers unless all are wanted


class Convergence:
    """The usual table of MCMC diagnostics, of chains like those of the samples, and their plots.

    Of the energy and of the first coordinates, NAME_energy, NAME_x1, …: `rhat`, rank-normalised and
    split, the larger of bulk and folded: 1 for chains that agree, and over 1.01 they don't yet;
    `ess_bulk` and `ess_tail`, effective numbers of draws; and `mcse_mean`, the Monte Carlo standard
    error of the mean. With `full` also `mean`, `sd`, `q5` and `q95` (the 5 % and 95 % quantiles),
    `mcse_q5` and `mcse_q95`, and the figures `trace`, `rank` and `energy` of the chains.

    It follows 64 chains that begin and run as those of `view.sample` do, over `n_steps`, and judges
    the second half of their steps. Chains of several labels or lengths have different laws, and
    chains of a kernel that anneals have none: of these it says nothing. Numbers that can't be
    known, as of chains that stand still, are left out. Raises ValueError when the run has no
    sampler.

    Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, "Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC".

    Args:
        n_steps: Steps of each chain; by default those of a sample, ten times a training step's.
        coordinates: How many of an event's first coordinates to follow.
        full: Whether to return all numbers and the figures, as `ebmcore sample --diagnose` does.
    """

    every = "end"
    metrics: ClassVar = ("mean_*", "sd_*", "q5_*", "q95_*", "mcse_*", "ess_*", "rhat_*")
    evaluates = True  # `ebmcore evaluate` runs it on a trained model

    def __init__(
        self,
        *,
        n_steps: PositiveInt | None = None,
        coordinates: NonNegativeInt = 2,
        full: bool = False,
    ) -> None:
        self.n_steps = n_steps
        self.full = full
        self.coordinates = coordinates

    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the numbers that are known, and the figures."""
        found = mixing_of(view, self.n_steps).followed
        if found is None or found.several_laws:
            return {}
        draws = self._followed(found)
        finite = {name: x for name, x in draws.items() if bool(x.isfinite().all())}
        numbers = {
            f"{stat}_{name}": value
            for name, x in finite.items()
            for stat, value in diagnose(x)._asdict().items()
            if math.isfinite(value) and (self.full or stat in BRIEF)
        }
        if not self.full or "energy" not in finite or len(found.energy) < 2:
            return numbers
        return {
            **numbers,
            "trace": plot_traces(view, finite, found.thin),
            "rank": plot_ranks(view, finite),
            "energy": plot_energies(view, finite["energy"]),
        }

    def _followed(self, found: Followed) -> dict[str, Tensor]:
        """Return the numbers to judge, (kept, chains) each, by name."""
        flat = found.x.flatten(2).double().cpu()
        coordinates = min(self.coordinates, flat.shape[2])
        return {
            "energy": found.energy.double().cpu(),
            **{f"x{i + 1}": flat[..., i] for i in range(coordinates)},
        }
