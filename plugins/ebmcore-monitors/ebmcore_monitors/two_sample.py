"""Two-sample tests: whether samples of the model and held-out data could share one density."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from ebmcore import PositiveInt, RunView
from ebmcore_monitors.points.labels import masks_for
from ebmcore_monitors.points.mixed import mixing_of
from ebmcore_monitors.points.subset import subset
from ebmcore_monitors.statistics import permutation
from ebmcore_monitors.statistics.mmd import gaussian_kernel, squared_mmd
from ebmcore_monitors.statistics.sliced_wasserstein import directions, sliced_wasserstein
from ebmcore_monitors.warn_once import WarnsOnce

LEVEL = 0.05  # p-values above it reject nothing


class TwoSample(WarnsOnce):
    """Two distances between held-out data and samples, each with a permutation test's p-value.

    - `sliced_wasserstein`: SW₂ over random directions, in units of x; never 0 for finite samples.
    - `mmd_squared`: unbiased squared maximum mean discrepancy with a Gaussian kernel of median
      bandwidth, dimensionless; below 0 about half of the time for samples of one density.
    - `sliced_wasserstein_p`, `mmd_p`: (1 + #{relabelled >= observed}) / (1 + permutations): small
      when the data reject the model. A large p-value means that this many points don't show it.
    - `rhat` of chains like the samples', and `mixed`, 1 when it is under 1.1. While it is 0, p is
      the sampler's doing as much as the model's, and the monitor warns. A kernel that anneals has
      neither: its chains have no one law, and p is of where they end.

    The samples' chains begin without the data, so chains that stay where the data put them don't
    count for a model. The monitor draws as many samples as the run has held-out points, `n` at
    most, and flattens the events. The p-values assume independent samples, so give the chains
    enough steps for that, and use more chains than `n`. Sequences of different length are compared
    with 0 where a step doesn't count; the samples have lengths of the training data. Raises
    ValueError when the run has no sampler, or fewer than 2 held-out points.

    Source: Bonneel et al. 2015, "Sliced and Radon Wasserstein barycenters of measures"; Gretton et
    al. 2012, "A kernel two-sample test".

    Args:
        n: Number of held-out points, at most, and of samples; time and memory grow as its square.
        n_steps: Sampler steps for those samples; ten times those of a training step if null.
        projections: Number of random directions of the sliced Wasserstein distance.
        permutations: Number of relabellings; the smallest p-value is 1 / (1 + permutations).
    """

    every = "end"
    metrics: ClassVar = (
        *("sliced_wasserstein", "sliced_wasserstein_p", "mmd_squared", "mmd_p"),
        *("mixed", "rhat"),
    )
    evaluates = True  # `ebmcore evaluate` runs it on a trained model
    takes_mask = True

    def __init__(
        self,
        *,
        n: PositiveInt = 500,
        n_steps: PositiveInt | None = None,
        projections: PositiveInt = 50,
        permutations: PositiveInt = 199,
    ) -> None:
        super().__init__()
        self.n = n
        self.n_steps = n_steps
        self.projections = projections
        self.permutations = permutations

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return the distances that can be computed, with their p-values."""
        if len(view.held_out) < 2:
            raise ValueError(
                "two_sample compares samples with at least 2 held-out points; this run has "
                f"{len(view.held_out)}. Set data.holdout"
            )
        x = subset(view.held_out, self.n, view.generator)
        y = view.sample(len(x), self.n_steps, mask=masks_for(view, len(x)))
        pooled = torch.cat([x, y]).flatten(1).double().cpu()
        if not bool(pooled.isfinite().all()):
            view.warn("some samples are not finite, so two_sample can't compare them with the data")
            return {}
        along = directions(self.projections, pooled.shape[1], view.generator)
        labels = permutation.relabellings(len(x), len(y), self.permutations, view.generator)
        results = {"sliced_wasserstein": permutation.test(
            lambda rows: sliced_wasserstein(pooled, rows, along), labels
        )}  # fmt: skip
        kernel = gaussian_kernel(pooled)
        if kernel is not None:
            results["mmd"] = permutation.test(lambda rows: squared_mmd(kernel, rows), labels)
        numbers = {f"{name}_p": result.p for name, result in results.items()}
        numbers["sliced_wasserstein"] = results["sliced_wasserstein"].value
        if "mmd" in results:
            numbers["mmd_squared"] = results["mmd"].value
        self._warn_of_smallest_p(view, len(x))
        mixing = mixing_of(view, self.n_steps)
        if mixing.doubtful:
            self.warn(view, "unmixed", mixing.warning("the verdict of the p-values", "n_steps"))
        return numbers | mixing.numbers()

    def _warn_of_smallest_p(self, view: RunView, n: int) -> None:
        """Warn when no data, however unlike the samples, could give a p-value under `LEVEL`.

        Half of the relabellings that give the observed split swap the two samples.
        """
        smallest = max(1 / (1 + self.permutations), 2 / math.comb(2 * n, n))
        if smallest > LEVEL:
            self.warn(
                view,
                "blunt",
                f"no p-value of two_sample can fall under {smallest:.2g} with {n} held-out points "
                f"and {self.permutations} permutations, so none rejects a model. Raise "
                "data.holdout, n or permutations",
            )
