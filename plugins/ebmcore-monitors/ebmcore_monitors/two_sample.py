"""Whether samples of the model and held-out data could be draws of one law."""

from __future__ import annotations

import torch

from ebmcore import PositiveInt, RunView
from ebmcore_monitors.points.subset import subset
from ebmcore_monitors.statistics import permutation
from ebmcore_monitors.statistics.mmd import gaussian_kernel, squared_mmd
from ebmcore_monitors.statistics.sliced_wasserstein import directions, sliced_wasserstein


class TwoSample:
    """Two distances between held-out data and samples, each with a permutation test's p-value.

    - `sliced_wasserstein`: SW₂ over random directions, in units of x; never 0 for finite samples.
    - `mmd_squared`: unbiased squared maximum mean discrepancy with a Gaussian kernel of median
      bandwidth, dimensionless; below 0 about half of the time for samples of one law.
    - `sliced_wasserstein_p`, `mmd_p`: (1 + #{relabelled >= observed}) / (1 + permutations): small
      when the model is seen to be wrong. Not small means that so many points don't show it.

    As many samples are drawn as there are held-out points, `n` at most; events are flattened. The
    p-values take the samples to be independent draws, so give the chains the steps to become that,
    and more chains than `n`. Raises ValueError when the run has no sampler, or fewer than 2
    held-out points.

    Source: Bonneel et al. 2015, "Sliced and Radon Wasserstein barycenters of measures"; Gretton et
    al. 2012, "A kernel two-sample test".

    Args:
        n: Number of held-out points, at most, and of samples; time and memory grow as its square.
        n_steps: Sampler steps for those samples; ten times those of a training step if null.
        projections: Number of random directions of the sliced Wasserstein distance.
        permutations: Number of relabellings; the smallest p-value is 1 / (1 + permutations).
    """

    every = "end"
    evaluates = True  # a trained model too: `ebmcore evaluate` runs it

    def __init__(
        self,
        *,
        n: PositiveInt = 500,
        n_steps: PositiveInt | None = None,
        projections: PositiveInt = 50,
        permutations: PositiveInt = 199,
    ) -> None:
        self.n = n
        self.n_steps = n_steps
        self.projections = projections
        self.permutations = permutations

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return both distances and their p-values; those of a distance that isn't known, not."""
        if len(view.held_out) < 2:
            raise ValueError(
                f"two_sample compares samples with held-out data, of which there are "
                f"{len(view.held_out)}; set data.holdout"
            )
        x = subset(view.held_out, self.n, view.generator)
        y = view.sample(len(x), self.n_steps)
        pooled = torch.cat([x, y]).flatten(1).double().cpu()
        if not bool(pooled.isfinite().all()):
            view.warn("samples hold numbers that are not finite, so they can't be compared")
            return {}
        along = directions(self.projections, pooled.shape[1], view.generator)
        labels = permutation.relabellings(len(x), len(y), self.permutations, view.generator)
        found = {"sliced_wasserstein": permutation.test(
            lambda rows: sliced_wasserstein(pooled, rows, along), labels
        )}  # fmt: skip
        kernel = gaussian_kernel(pooled)
        if kernel is not None:
            found["mmd"] = permutation.test(lambda rows: squared_mmd(kernel, rows), labels)
        numbers = {f"{name}_p": tested.p for name, tested in found.items()}
        numbers["sliced_wasserstein"] = found["sliced_wasserstein"].value
        if "mmd" in found:
            numbers["mmd_squared"] = found["mmd"].value
        return numbers
