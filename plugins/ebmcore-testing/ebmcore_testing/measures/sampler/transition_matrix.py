"""The transition matrix of a kernel over all events of a small space, read off its own steps.

A step is a map of the state and of the noise. Where the noise is uniform numbers and whole numbers
drawn from a range, each outcome has a box of them: the numbers are cut one after the other where
the step turns from one outcome to another, found by bisection to the last digit, and the volumes of
the boxes are the probabilities. So any kernel is compared with a law exactly, without luck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebmcore_testing.measures.lattice import AllEvents
from ebmcore_testing.measures.observed import seeded

_DRAWS = 20_000  # of the noise, by which its range is told
_MOST_VALUES = 64  # of a whole number of the noise
_MOST_BOXES = 4_000
_SECTIONS = 16  # points tried at once between two ends
_PRECISION = 2.0**-50
_LAST = 1 - 2.0**-53  # the largest uniform number in float64
_PROBES = (0.0, _LAST)  # of the numbers that are not cut yet

Move = Callable[[Tensor, tuple[Tensor, ...]], Tensor]  # (n, *event), noise -> (n, *event)


class _Part(NamedTuple):
    """A tensor of the noise: uniform numbers, or whole ones below a limit."""

    shape: tuple[int, ...]  # of a chain
    dtype: torch.dtype
    values: int  # 0: uniform in [0, 1)

    @property
    def size(self) -> int:
        return torch.Size(self.shape).numel()


class _Boxes(NamedTuple):
    """Boxes of noise, each from an event: the same outcome throughout."""

    place: Tensor  # (boxes,), the event where the step begins
    low: Tensor  # (boxes, numbers of the noise)
    high: Tensor  # (boxes, numbers of the noise); equal to low for whole numbers
    weight: Tensor  # (boxes,), probability


def transition_matrix(kernel: Any, events: AllEvents, move: Move) -> Tensor | None:
    """Return P, (events, events), float64: row by row the probabilities of a step's ends.

    None where it can't be read: other noise than uniform and whole numbers, a step that depends on
    something else, or too many boxes.
    """
    parts = _parts(kernel, events.x)
    if parts is None:
        return None
    reader = _Reader(parts, events, move)
    natural = list(range(len(reader.values)))
    whole_first = sorted(natural, key=lambda number: reader.values[number] == 0)
    for order in (natural, whole_first, natural[::-1]):
        boxes = reader.cut(order)
        if boxes is not None and reader.holds(boxes):
            return reader.matrix(boxes)
    return None


def _parts(kernel: Any, x: Tensor) -> list[_Part] | None:
    many = x[torch.arange(_DRAWS) % len(x)]
    found = []
    for draw in kernel.noise(many, seeded(11)):
        if not isinstance(draw, Tensor) or draw.shape[:1] != (_DRAWS,):
            return None
        low, high = float(draw.min()), float(draw.max())
        if draw.is_floating_point():
            even = 0 <= low < 0.01 and 0.99 < high <= 1 and abs(float(draw.mean()) - 0.5) < 0.02
            values = 0 if even else -1
        else:
            values = int(high) + 1 if low == 0 and 0 < high < _MOST_VALUES else -1
        if values < 0:
            return None
        found.append(_Part(tuple(draw.shape[1:]), draw.dtype, values))
    return found


class _Reader:
    """Cuts the noise of one step into boxes."""

    def __init__(self, parts: Sequence[_Part], events: AllEvents, move: Move) -> None:
        self.parts = parts
        self.events = events
        self.move = move
        self.values = [part.values for part in parts for _ in range(part.size)]

    def outcome(self, place: Tensor, numbers: Tensor) -> Tensor:
        """Return the place of the event where a step ends, for places and noise (n, numbers)."""
        noise, first = [], 0
        for part in self.parts:
            own = numbers[:, first : first + part.size].to(part.dtype)
            if not part.values:  # 1 in float32 would be outside
                own = own.clamp(max=1 - torch.finfo(part.dtype).eps / 2)
            noise.append(own.reshape(-1, *part.shape))
            first += part.size
        return self.events.places(self.move(self.events.x[place], tuple(noise)))

    def cut(self, order: Sequence[int]) -> _Boxes | None:
        """Cut the numbers one after the other; None when the boxes become too many."""
        states, numbers = len(self.events.x), len(self.values)
        low = torch.zeros(states, numbers, dtype=torch.float64)
        ones = torch.ones(states, dtype=torch.float64)
        boxes = _Boxes(torch.arange(states), low, torch.ones_like(low), ones)
        for i, number in enumerate(order):
            whole = self.values[number]
            if len(boxes.place) * max(whole, 1) > _MOST_BOXES:
                return None
            if whole:
                boxes = _split_whole(boxes, number, whole)
            else:
                found = [self._turns(boxes, number, order[i + 1 :], probe) for probe in _PROBES]
                boxes = _split_at(boxes, number, torch.cat(found, 1))
        return boxes

    def holds(self, boxes: _Boxes) -> bool:
        """Whether the outcome is the same at other points of each box, as it should be."""
        there = self.outcome(boxes.place, (boxes.low + boxes.high) / 2)
        width = boxes.high - boxes.low
        sure = ((width > 1e-5) | (width == 0)).all(1) & (there >= 0)
        for seed in range(3):
            share = torch.rand(width.shape, generator=seeded(seed), dtype=torch.float64)
            inside = boxes.low + width * (0.01 + 0.98 * share)
            if not torch.equal(self.outcome(boxes.place, inside)[sure], there[sure]):
                return False
        return bool((there >= 0).all())

    def matrix(self, boxes: _Boxes) -> Tensor:
        """Return the probabilities of the outcomes, (events, events)."""
        ends = self.outcome(boxes.place, (boxes.low + boxes.high) / 2)
        states = len(self.events.x)
        found = torch.zeros(states, states, dtype=torch.float64)
        return found.index_put((boxes.place, ends), boxes.weight, accumulate=True)

    def _turns(self, boxes: _Boxes, number: int, later: Sequence[int], probe: float) -> Tensor:
        """Return the places in (0, 1) where the outcome turns, (boxes, turns); 1: there is none."""
        at = (boxes.low + boxes.high) / 2
        for other in later:
            values = self.values[other]
            at[:, other] = round(probe * (values - 1)) if values else probe

        def ends(rows: Tensor, tried: Tensor) -> Tensor:
            """Return the outcomes for values of the number, (rows, tried)."""
            each = at[rows].repeat_interleave(tried.shape[1], 0)
            each[:, number] = tried.flatten()
            place = boxes.place[rows].repeat_interleave(tried.shape[1])
            return self.outcome(place, each).reshape(tried.shape)

        def stays(rows: Tensor, tried: Tensor) -> Tensor:
            return ends(rows, tried) == now[rows]

        rows = torch.arange(len(at))
        start = torch.zeros(len(at), 1, dtype=torch.float64)
        now, last = ends(rows, start), ends(rows, torch.full_like(start, _LAST))
        turns = [torch.ones_like(start)]
        while len(rows := rows[(now != last)[rows, 0]]) and len(turns) < _MOST_VALUES:
            turn = _bisect(start[rows], partial(stays, rows))
            turns.append(torch.ones_like(start))
            turns[-1][rows] = start[rows] = turn
            now[rows] = ends(rows, turn)
        return torch.cat(turns, 1)


def _bisect(low: Tensor, same: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the end of the stretch from `low` on, (rows, 1), in which `same` holds."""
    high = torch.full_like(low, _LAST)
    steps = torch.arange(1, _SECTIONS)
    while float((high - low).max()) > _PRECISION:
        width = (high - low) / _SECTIONS
        before = same(low + width * steps).int().cumprod(1).sum(1, keepdim=True)
        high = torch.where(before == _SECTIONS - 1, high, low + width * (before + 1))
        low = low + width * before
    return high


def _split_at(boxes: _Boxes, number: int, turns: Tensor) -> _Boxes:
    """Cut a number at its turns, (boxes, turns)."""
    turns = turns.sort(1).values
    for column in range(1, turns.shape[1]):  # two probes find one turn up to rounding
        near = turns[:, column] - turns[:, column - 1] < 1e-13
        turns[:, column] = torch.where(near, turns[:, column - 1], turns[:, column])
    ends = torch.cat([torch.zeros_like(turns[:, :1]), turns], 1)
    rows, piece = (ends.diff(dim=1) > 0).nonzero(as_tuple=True)
    low, high = boxes.low[rows].clone(), boxes.high[rows].clone()
    low[:, number], high[:, number] = ends[rows, piece], ends[rows, piece + 1]
    return _Boxes(boxes.place[rows], low, high, boxes.weight[rows] * (high - low)[:, number])


def _split_whole(boxes: _Boxes, number: int, values: int) -> _Boxes:
    """Fix a whole number at each of its values."""
    n = len(boxes.place)
    fixed = torch.arange(values, dtype=torch.float64).repeat(n)
    place, low, high, weight = (part.repeat_interleave(values, 0) for part in boxes)
    low[:, number] = high[:, number] = fixed
    return _Boxes(place, low, high, weight / values)
