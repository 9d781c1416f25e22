"""Shifts and scales: x' = (x - shift) / scale, with log |det| = -sum of log scale.

Both are found from the training rows in float64, for each number of an event, each channel or the
event as a whole; of sequences with a mask, from the steps that count. A number that doesn't vary in
the training rows is shifted alone (scale 1), with a warning: dividing by its spread, 0 or rounding,
would be no map.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ebmcore import Transform

Per = Literal["number", "channel", "feature", "event"]

_BLOCK = 64  # columns


class Scaling(Transform):
    """A shift and a scale, (*event) each or broadcast to it, that a subclass finds.

    Args:
        per: What has a shift and a scale of its own: each number of an event, each channel (its
            first dimension), each feature (its last one, as in sequences (T, C)), or the event as a
            whole.
    """

    check_event_shapes = ((3,), (2, 4, 4))

    def __init__(self, *, per: Per = "number") -> None:
        self.per = per
        self.shift = torch.zeros(())  # float64, in units of x
        self.scale = torch.ones(())  # float64, units of x per unit of x'

    def fit(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Find the shift and the scale, (n, *event), of the steps that a mask, (n, T), counts."""
        rows, shape = self._rows(x)
        if mask is None:
            found = [self._of(rows[:, columns].double()) for columns in _groups(rows.shape[1])]
        else:
            wide = mask.reshape(*mask.shape, *(1 for _ in x.shape[mask.ndim :])).expand(x.shape)
            counted, _ = self._rows(wide)
            found = [self._of_counted(*column) for column in zip(rows.T, counted.T, strict=True)]
        constant, shift, scale = map(torch.cat, zip(*found, strict=True))
        flat = (scale <= 0) & ~constant
        for told, where in (("are constant", constant), ("have no spread by this measure", flat)):
            if where.any():
                warnings.warn(
                    f"{_places(where)} {told} in the training rows and are shifted, not scaled",
                    stacklevel=2,
                )
        self.shift = shift.reshape(shape)
        self.scale = torch.where(constant | flat, 1.0, scale).reshape(shape)

    def _of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which columns are constant, and their shifts and scales, (columns,) each."""
        return x.amin(0) == x.amax(0), *self._find(x)

    def _of_counted(self, x: Tensor, counted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the same of one column, (rows,), where it counts; of none at all, shift 0."""
        kept = x[counted][:, None] if counted.any() else x.new_zeros(1, 1)
        return self._of(kept.double())

    def _rows(self, x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Return the values that share a shift as columns, and the shape of the shifts."""
        event = x.shape[1:]
        if self.per == "event":
            return x.reshape(-1, 1), (1,) * len(event)
        if self.per == "feature" and len(event) > 1:
            return x.reshape(-1, event[-1]), (*(1,) * (len(event) - 1), event[-1])
        if self.per == "channel" and len(event) > 1:
            return x.movedim(1, -1).reshape(-1, event[0]), (event[0], *(1,) * (len(event) - 1))
        return x.flatten(1), tuple(event)

    def _find(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shift and the scale of columns, (rows, columns) -> (columns,) each."""
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        """Return (x - shift) / scale."""
        return (x - self.shift.to(x)) / self.scale.to(x)

    def inverse(self, x: Tensor) -> Tensor:
        """Return scale x' + shift."""
        return x * self.scale.to(x) + self.shift.to(x)

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return -sum of log scale over an event's numbers, the same for each event, (n,)."""
        total = -self.scale.log().expand(x.shape[1:]).sum()
        return total.to(x).expand(len(x))

    def state_dict(self) -> dict[str, Any]:
        """Return the shift and the scale."""
        return {"shift": self.shift, "scale": self.scale}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self.shift, self.scale = state["shift"], state["scale"]


def _groups(columns: int) -> list[slice]:
    """Divide columns, few of which take little memory in float64.

    torch sums columns in blocks, and those left over in another order: whole blocks keep the bits.
    """
    starts = range(0, max(1, columns - _BLOCK + 1), _BLOCK)
    return [slice(a, columns if a == starts[-1] else a + _BLOCK) for a in starts]


class Standardise(Scaling):
    """x' = (x - mean) / std of the training rows, std with n in its denominator.

    A number that is constant in the training rows becomes 0 there and keeps its unit, with a
    warning. Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed.
    2009, section 3.4.1.

    Args:
        per: What has a mean and a std of its own: each number of an event, each channel (its
            first dimension), each feature (its last one, as in sequences (T, C)), or the event as a
            whole.
    """

    def _find(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean(0), x.std(0, correction=0)


class RobustScale(Scaling):
    """x' = (x - median) / (q75 - q25) of the training rows: outliers don't move it.

    A number whose quartiles are equal keeps its unit, with a warning. Quantiles are interpolated
    linearly between the sorted values. Source: Tukey, Exploratory Data Analysis, 1977, chapter 2.

    Args:
        per: What has a median and quartiles of its own: each number of an event, each channel (its
            first dimension), each feature (its last one, as in sequences (T, C)), or the event as a
            whole.
    """

    def _find(self, x: Tensor) -> tuple[Tensor, Tensor]:
        ordered = x.sort(0).values
        low, median, high = (_quantile(ordered, q) for q in (0.25, 0.5, 0.75))
        return median, high - low


class MinMax(Scaling):
    """x' = low + (high - low) (x - min) / (max - min), over the training rows.

    The training rows lie between low and high; other rows may not. A number that is constant in the
    training rows becomes low there and keeps its unit, with a warning.

    Args:
        low: The smallest value of the training rows.
        high: Their largest value.
        per: What has a smallest and a largest value of its own: each number of an event, each
            channel (its first dimension), each feature (its last one, as in sequences (T, C)), or
            the event as a whole.
    """

    def __init__(self, *, low: float = 0.0, high: float = 1.0, per: Per = "number") -> None:
        super().__init__(per=per)
        if not low < high:
            raise ValueError(f"low should be below high; got {low} and {high}")
        self.low = low
        self.high = high

    def _find(self, x: Tensor) -> tuple[Tensor, Tensor]:
        least, most = x.amin(0), x.amax(0)
        scale = (most - least) / (self.high - self.low)
        return least - self.low * torch.where(most > least, scale, 1.0), scale


def _quantile(ordered: Tensor, q: float) -> Tensor:
    """Return a quantile of sorted columns, (rows, columns) -> (columns,), between two values."""
    place = q * (len(ordered) - 1)
    below, above = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
    return below + (place - int(place)) * (above - below)


def _places(where: Tensor) -> str:
    """Name the columns, the first few of many, counted from 0."""
    columns = where.nonzero().flatten().tolist()
    shown = ", ".join(map(str, columns[:5]))
    more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
    return f"columns {shown}{more} (counted from 0)"
