"""Ranks to a normal law: x' = Phi^-1(F(x)), F the training rows' own distribution function.

Each number of an event is mapped on its own, by a line between knots. The knots are values v of the
training rows with u = (rank - 1/2) / n, rank the mean rank of equal values, and z = Phi^-1(u).
Beyond the first and the last knot the map goes on with the mean slope between these two, so that it
is finite and has an inverse everywhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ebmcore import PositiveInt, Transform


class RankGaussian(Transform):
    """x' = Φ⁻¹(F(x)), F the training rows' distribution function of each number of an event.

    Piecewise linear between knots, values of the training rows at evenly spaced ranks; beyond the
    outer knots it goes on with the mean slope between them. log |det| is the sum of the log slopes.
    It makes each number's law normal, not their joint law. A number that is constant in the
    training rows is shifted alone, with a warning.

    Source: Conover, Practical Nonparametric Statistics, 3rd ed. 1999, section 5.10 (normal scores).

    Args:
        knots: The number of knots of each number, at most; more follow the rows more closely.
    """

    def __init__(self, *, knots: PositiveInt = 1000) -> None:
        if knots < 2:
            raise ValueError(f"knots should be at least 2; got {knots}")
        self.knots = knots
        self.values = torch.empty(0, 0)  # (numbers, knots), float64, units of x, rising
        self.scores = torch.empty(0, 0)  # (numbers, knots), float64, units of x', rising
        self.outer = torch.empty(0)  # (numbers,), the slope beyond the outer knots

    def fit(self, x: Tensor) -> None:
        """Find the knots, (n, *event)."""
        found = [_knots(column, self.knots) for column in x.flatten(1).double().unbind(1)]
        outer = [float((z[-1] - z[0]) / (v[-1] - v[0])) if len(v) > 1 else 1.0 for v, z in found]
        constant = [i for i, (v, _) in enumerate(found) if len(v) == 1]
        if constant:
            shown = ", ".join(map(str, constant[:5])) + " …" * (len(constant) > 5)
            warnings.warn(
                f"columns {shown} (counted from 0) are constant in the training rows and are "
                "shifted, not mapped",
                stacklevel=2,
            )
        most = max(len(v) for v, _ in found)
        padded = [_padded(v, z, s, most) for (v, z), s in zip(found, outer, strict=True)]
        self.values = torch.stack([v for v, _ in padded])
        self.scores = torch.stack([z for _, z in padded])
        self.outer = torch.tensor(outer, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the normal scores of x, (n, *event)."""
        return _follow(x, self.values, self.scores, self._slopes())[0]

    def inverse(self, x: Tensor) -> Tensor:
        """Return the values with these scores."""
        return _follow(x, self.scores, self.values, 1 / self._slopes())[0]

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return the sum over an event's numbers of the log slope at each, (n,)."""
        slope = _follow(x, self.values, self.scores, self._slopes())[1]
        return slope.log().sum(1)

    def _slopes(self) -> Tensor:
        """Return the slope before the first knot, between each two, and after the last."""
        inner = self.scores.diff(dim=1) / self.values.diff(dim=1)
        outer = self.outer[:, None]
        return torch.cat([outer, inner, outer], 1)  # (numbers, knots + 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the knots."""
        return {"values": self.values, "scores": self.scores, "outer": self.outer}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self.values, self.scores, self.outer = state["values"], state["scores"], state["outer"]


def _knots(column: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return values of a column, (n,), rising and each once, and their normal scores."""
    values, counts = torch.unique(column, return_counts=True)
    before = counts.cumsum(0) - counts
    share = (before + counts / 2) / len(column)  # (mean rank - 1/2) / n
    if len(values) == 1:
        return values, torch.zeros_like(values)
    if len(values) > most:
        wanted = torch.linspace(float(share[0]), float(share[-1]), most, dtype=torch.float64)
        at = torch.unique(torch.searchsorted(share, wanted).clamp(max=len(values) - 1))
        at[0], at[-1] = 0, len(values) - 1
        values, share = values[at], share[at]
    return values, torch.special.ndtri(share)


def _padded(values: Tensor, scores: Tensor, slope: float, most: int) -> tuple[Tensor, Tensor]:
    """Add knots beyond the last, on the line on which the map goes on there."""
    width = float(values[-1] - values[0]) or max(1.0, float(values[-1].abs()))
    steps = width * torch.arange(1, most - len(values) + 1, dtype=torch.float64)
    return torch.cat([values, values[-1] + steps]), torch.cat([scores, scores[-1] + slope * steps])


def _follow(x: Tensor, start: Tensor, end: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the lines from knots to knots; return where x, (n, *event), goes, and the slopes.

    Shapes: start, end (numbers, knots), slopes (numbers, knots + 1) -> (n, *event), (n, numbers).
    """
    start, end, slopes = start.to(x), end.to(x), slopes.to(x)
    columns = x.flatten(1).T.contiguous()  # (numbers, n)
    segment = torch.searchsorted(start, columns)  # knots below each
    knot = (segment - 1).clamp(min=0)
    slope = slopes.gather(1, segment)
    moved = end.gather(1, knot) + slope * (columns - start.gather(1, knot))
    return moved.T.reshape(x.shape), slope.T
