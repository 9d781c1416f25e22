"""Curves of metrics: read from a run's lines, thinned for a picture, and the band of several."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ebmcore.runs import LARGEST_LINE, METRICS, SafeFiles, as_number, read_object

POINTS = 300  # of a drawn curve, about


class Curve(NamedTuple):
    """The values of one metric, in the order of their steps."""

    steps: Sequence[int]
    values: Sequence[float]

    @property
    def last(self) -> float:
        """The last value."""
        return self.values[-1]


class Band(NamedTuple):
    """The median and the range of one metric over several runs, at some steps."""

    steps: Sequence[int]
    low: Sequence[float]
    middle: Sequence[float]
    high: Sequence[float]


def read_curves(files: SafeFiles) -> dict[str, Curve]:
    """Read metrics.jsonl; of a step that stands there twice the last value counts.

    Lines and values that aren't metrics are left out. Raises OSError and DirectoryError.
    """
    found: dict[str, dict[int, float]] = {}
    try:
        with files.open(METRICS) as file:
            while line := file.readline(LARGEST_LINE):
                fields = read_object(line) or {}
                step = fields.pop("step", None)
                if isinstance(step, bool) or not isinstance(step, int) or step < 0:
                    continue
                for name, given in fields.items():
                    value = as_number(given)
                    if value is not None and name not in ("time", "epoch"):
                        found.setdefault(name, {})[step] = value
    except FileNotFoundError:
        return {}
    curves = {}
    for name, values in found.items():
        steps = sorted(values)
        curves[name] = Curve(steps, [values[step] for step in steps])
    return curves


def thinned(curve: Curve, points: int = POINTS) -> Curve:
    """Leave out points, but of each stretch keep the lowest, the highest and one not finite.

    The first and the last point stay.
    """
    n = len(curve.steps)
    if n <= points:
        return curve
    stretches = max(1, points // 3)
    kept = {0, n - 1}
    for i in range(stretches):
        stretch = range(i * n // stretches, (i + 1) * n // stretches)
        finite = [k for k in stretch if math.isfinite(curve.values[k])]
        odd = next((k for k in stretch if not math.isfinite(curve.values[k])), None)
        if odd is not None:
            kept.add(odd)
        if finite:
            kept.add(min(finite, key=curve.values.__getitem__))
            kept.add(max(finite, key=curve.values.__getitem__))
    order = sorted(kept)
    return Curve([curve.steps[k] for k in order], [curve.values[k] for k in order])


def band(curves: Sequence[Curve], points: int = POINTS) -> Band | None:
    """Return the median and the range over curves; None where fewer than two share a step.

    Between two steps of its own a curve counts with the straight line between their values; before
    its first and after its last step it doesn't count, nor where a value beside isn't finite.
    """
    steps = sorted({step for curve in curves for step in curve.steps})
    if len(steps) > points:
        steps = [steps[i * (len(steps) - 1) // (points - 1)] for i in range(points)]
    rows = []
    for step in steps:
        values = sorted(v for c in curves if (v := _value_at(c, step)) is not None)
        if len(values) >= 2:
            half = len(values) // 2
            middle = values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
            rows.append((step, values[0], middle, values[-1]))
    if len(rows) < 1:
        return None
    return Band(*zip(*rows, strict=True))


def _value_at(curve: Curve, step: int) -> float | None:
    right = bisect.bisect_left(curve.steps, step)
    if right == len(curve.steps):
        return None
    after = curve.values[right]
    if curve.steps[right] == step:
        return after if math.isfinite(after) else None
    if right == 0:
        return None
    before, at = curve.values[right - 1], curve.steps[right - 1]
    share = (step - at) / (curve.steps[right] - at)
    value = before + share * (after - before)
    return value if math.isfinite(value) else None


def by_prefix(names: Mapping[str, object] | Sequence[str]) -> dict[str, list[str]]:
    """Group metrics by the word before their first slash, as MLflow does.

    `loss` itself stands with `loss/…`; metrics without a prefix of company stand under "".
    """
    heads = {name.partition("/")[0] for name in names if "/" in name}
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        head = name.partition("/")[0]
        groups.setdefault(head if head in heads else "", []).append(name)
    return groups
