"""Whole numbers to real ones: x' = (x + u) / k, u uniform on [0, 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore import Binary, Categorical, PositiveInt, Real, Space, Transform, row_slices

_NEAR = 1e-3  # a whole number's rounding after a scaling


class Dequantise(Transform):
    """x' = (x + u) / k for whole numbers 0 … k - 1, u uniform on [0, 1) and new in each batch.

    Then x' lies in [0, 1) and ⌊k x'⌋ is x again. With log |det| = -D log k, D numbers an event, the
    density counted in x bounds the probability of whole numbers, by Jensen's inequality:

        log P(x) >= E_u [log p'(x') - D log k]

    Without a generator u = 1/2. Source: Theis, van den Oord and Bethge 2016, "A note on the
    evaluation of generative models", section 3.1.

    Args:
        levels: k, the number of values; by default that of the data's space, if it is binary or
            categorical.
    """

    spaces = (Real, Binary, Categorical)
    draws = True
    check_space = Categorical(5)

    def __init__(self, *, levels: PositiveInt | None = None) -> None:
        self.levels = levels or 0

    def fit(self, x: Tensor, space: Space) -> None:
        """Take the number of levels from the space, if no other is given.

        Raises ValueError when there is none, or x holds other numbers than 0 … k - 1.
        """
        sizes = space.sizes(())
        self.levels = self.levels or (sizes[0] if sizes else 0)
        if not self.levels:
            raise ValueError(
                "say how many values there are: `levels`, or a binary or categorical data.space"
            )
        for rows in row_slices(x):
            self._refuse_others(x[rows])

    def _refuse_others(self, x: Tensor) -> None:
        whole = x.round()
        wrong = ((x - whole).abs() > _NEAR) | (whole < 0) | (whole >= self.levels)
        if wrong.any():
            value = float(x[wrong][0])
            raise ValueError(
                f"takes whole numbers from 0 to {self.levels - 1}; the training rows hold "
                f"{value:g}. Scale them first: {{type: min_max, high: {self.levels - 1}, "
                "per: event}"
            )

    def space(self, space: Space) -> Space:
        """Return the reals from 0 to 1."""
        return Real(0.0, 1.0)

    def __call__(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Return (x + u) / k."""
        if generator is None:
            return (x + 0.5) / self.levels
        mapped = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        for rows in row_slices(x):
            mapped[rows] = self._at(x[rows], mapped[rows])
        return mapped

    def _at(self, x: Tensor, u: Tensor) -> Tensor:
        mapped, eps = (x + u) / self.levels, torch.finfo(x.dtype).eps
        back, whole = (mapped * self.levels).floor(), x.round()  # rounding may leave the level
        mapped = torch.where(back < whole, mapped * (1 + eps), mapped)
        return torch.where(back > whole, mapped * (1 - eps), mapped)

    def inverse(self, x: Tensor) -> Tensor:
        """Return ⌊k x'⌋, clamped to 0 … k - 1 where x' is not in [0, 1)."""
        return (x * self.levels).floor().clamp(0, self.levels - 1)

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return -D log k, (n,)."""
        size = x[0].numel() if len(x) else 1
        k = torch.tensor(float(self.levels), dtype=x.dtype, device=x.device)
        return (-size * k.log()).expand(len(x))

    def state_dict(self) -> dict[str, Any]:
        """Return the number of levels."""
        return {"levels": self.levels}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore it."""
        self.levels = int(state["levels"])
