"""Maximum mean discrepancies of bits and categories, each beside its spread under one law."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from ebmcore import Binary, Categorical, PositiveFloat, PositiveInt, RunView
from ebmcore_monitors.points.subset import subset
from ebmcore_monitors.statistics import permutation
from ebmcore_monitors.statistics.mmd import gaussian_kernel, squared_mmd


class MMD:
    """Three squared maximum mean discrepancies between held-out data and samples of the model.

    - `linear`: of k = xᵀy, which is ‖mean x - mean y‖²: it sees how often each bit is 1. Of
      k = d - h, with which ratio matching of gray codes was published, it is twice that.
    - `hamming`: of k = exp(-rate · h), h the number of places where x and y differ of d.
    - `rbf`: of k = exp(-‖x - y‖²/(2s²)), s the median distance of all pairs.

    Each is unbiased, so below 0 about half of the time for samples of the data's law. `linear_null`
    and so on are its standard deviation there: over relabellings of the pooled points. A number
    within two of them says nothing against the model, and none for it beyond these kernels.
    `linear_p` and so on are (1 + #{relabelled >= observed}) / (1 + permutations).

    The samples' chains begin without the data; as many are drawn as there are held-out points, `n`
    at most. Categories are compared one-hot, events flattened. Raises ValueError when the run has
    no sampler, or fewer than 2 held-out points.

    Source: Gretton et al. 2012, "A kernel two-sample test"; linear and exponential Hamming kernels
    as Dai et al. 2020, "Learning discrete energy-based models via auxiliary-variable local
    exploration", measure gray codes.

    Args:
        n: Number of held-out points, at most, and of samples; time and memory grow as its square.
        n_steps: Sampler steps for those samples; ten times those of a training step if null.
        rate: The exponential Hamming kernel's decay with each differing number.
        permutations: Number of relabellings; the smallest p-value is 1 / (1 + permutations).
    """

    every = "end"
    metrics: ClassVar = (
        *("linear", "linear_null", "linear_p", "hamming", "hamming_null", "hamming_p"),
        *("rbf", "rbf_null", "rbf_p"),
    )
    evaluates = True  # `ebmcore evaluate` runs it on a trained model
    spaces: ClassVar = (Binary, Categorical)

    def __init__(
        self,
        *,
        n: PositiveInt = 1000,
        n_steps: PositiveInt | None = None,
        rate: PositiveFloat = 0.1,
        permutations: PositiveInt = 199,
    ) -> None:
        self.n = n
        self.n_steps = n_steps
        self.rate = rate
        self.permutations = permutations

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return the discrepancies, their spreads and their p-values."""
        if len(view.held_out) < 2:
            raise ValueError(
                "mmd compares samples with at least 2 held-out points; this run has "
                f"{len(view.held_out)}. Set data.holdout"
            )
        x = subset(view.held_out, self.n, view.generator)
        y = view.sample(len(x), self.n_steps)
        pooled = torch.cat([x, y]).flatten(1).cpu()
        if isinstance(view.space, Categorical):
            shape = pooled.shape[1:]
            pooled = view.space.one_hot(pooled, shape, torch.float64).flatten(1)
        pooled = pooled.double()
        labels = permutation.relabellings(len(x), len(y), self.permutations, view.generator)
        differing = 1 if isinstance(view.space, Binary) else 2  # one-hot bits of a category
        kernels: dict[str, Callable[[], Tensor | None]] = {
            "linear": lambda: pooled @ pooled.T,
            "hamming": lambda: (-self.rate / differing * torch.cdist(pooled, pooled, p=1)).exp(),
            "rbf": lambda: gaussian_kernel(pooled),
        }
        numbers: dict[str, float] = {}
        for name, make in kernels.items():
            kernel = make()
            if kernel is None:
                continue
            values = squared_mmd(kernel, labels)
            numbers[name] = float(values[0])
            numbers[f"{name}_null"] = float(values[1:].square().mean().sqrt())
            numbers[f"{name}_p"] = permutation.p_value(values)
        return numbers
