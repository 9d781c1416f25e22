"""The curves of a group: the median and its interval of each metric, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ebmcore import EbmError
from ebmcore.runs import LARGEST_LINE, METRICS, SafeFiles, as_number, read_object
from ebmcore_sweep.seeds.statistics import LEVEL, Numbers, intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOW, HIGH = ".low", ".high"  # after a metric's name: the ends of its interval
_LOG_SPAN = 100.0  # a curve of positive values whose largest is so many times the least is drawn so
_RANGE = 6  # below so many runs the interval of the median is their range
_MARKERS = 40  # a curve of so few points shows them


class Band(NamedTuple):
    """One metric of several runs, at the steps at which all of them have it."""

    name: str
    steps: NDArray[np.int64]  # (steps,)
    epochs: Numbers  # (steps,)
    values: Numbers  # (steps, runs)
    low: Numbers  # (steps,), NaN when there is one run
    median: Numbers
    high: Numbers


class Curves(NamedTuple):
    """The metrics of one run."""

    values: dict[str, dict[int, float]]  # metric -> step -> value
    epochs: dict[int, float]  # step -> epoch


def read_curves(run_dir: Path) -> Curves:
    """Read a run's metrics.jsonl. Raises EbmError when a line of it can't be read."""
    curves = Curves({}, {})
    file = run_dir / METRICS
    with suppress(FileNotFoundError), SafeFiles(run_dir).open(METRICS) as opened:
        pieces = iter(lambda: opened.readline(LARGEST_LINE), b"")
        for number, line in enumerate(pieces, 1):
            fields = read_object(line) or {}
            step, epoch = fields.pop("step", None), as_number(fields.pop("epoch", None))
            if not isinstance(step, int) or epoch is None:
                raise EbmError(f"{file}:{number}: no line of metrics; it has no step or no epoch")
            fields.pop("time", None)
            curves.epochs[step] = epoch
            for name, found in fields.items():
                value = as_number(found)
                if value is not None:
                    curves.values.setdefault(name, {})[step] = value
    return curves


def bands(runs: Sequence[Path]) -> list[Band]:
    """Return the metrics that all of the runs have, sorted by name.

    A run whose value is NaN makes the median and its interval at that step NaN.
    """
    curves = [read_curves(run) for run in runs]
    if not curves:
        return []
    shared = set.intersection(*(set(c.values) for c in curves))
    return [band for name in sorted(shared) if len((band := _band(name, curves)).steps)]


def _band(name: str, curves: Sequence[Curves]) -> Band:
    columns = [c.values[name] for c in curves]
    steps = sorted(set.intersection(*map(set, columns)))
    values = np.array([[column[step] for column in columns] for step in steps], float)
    low, median, high = intervals(values.reshape(len(steps), len(columns)))
    epochs = np.array([curves[0].epochs[step] for step in steps], float)
    return Band(name, np.array(steps, np.int64), epochs, values, low, median, high)


def lines(found: Sequence[Band]) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Yield step, epoch and metrics, step by step: NAME is the median, NAME.low and NAME.high."""
    at: dict[int, tuple[float, dict[str, float]]] = {}
    for band in found:
        for i, step in enumerate(band.steps.tolist()):
            _, metrics = at.setdefault(step, (float(band.epochs[i]), {}))
            metrics[band.name] = float(band.median[i])
            if band.values.shape[1] > 1:
                metrics[band.name + LOW] = float(band.low[i])
                metrics[band.name + HIGH] = float(band.high[i])
    for step in sorted(at):
        yield step, *at[step]


def is_end(name: str) -> bool:
    """Say whether a metric is an end of another one's interval."""
    return name.endswith((LOW, HIGH))


def draw(band: Band, labels: Sequence[str]) -> Figure:
    """Draw the median, its interval as a band, and each run as a thin line; labels are their seeds.

    The vertical axis is logarithmic where all values are positive and span over two decades.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 4.0), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    runs = band.values.shape[1]
    finite = band.values[np.isfinite(band.values)]
    marker = "o" if len(band.steps) <= _MARKERS else None
    for column in range(runs):
        axes.plot(
            band.steps, _drawn(band.values[:, column]), color="0.55", lw=0.8, alpha=0.6, zorder=1,
            label="each run" if column == 0 else None,
        )  # fmt: skip
    if runs > 1:
        what = "range of the runs" if runs < _RANGE else f"{LEVEL:.0%} interval of the median"
        axes.fill_between(
            band.steps, _drawn(band.low), _drawn(band.high), color="C0", alpha=0.22, lw=0, zorder=2,
            label=what,
        )  # fmt: skip
    axes.plot(
        band.steps, _drawn(band.median), color="C0", lw=2, marker=marker, ms=3.5, zorder=3,
        label="median",
    )  # fmt: skip
    if finite.size and finite.min() > 0 and finite.max() > _LOG_SPAN * finite.min():
        axes.set_yscale("log")
    axes.set_title(band.name, loc="left", fontsize=11)
    axes.set_title(f"{runs} seeds: {_short(labels)}", loc="right", fontsize=9, color="0.35")
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.margins(x=0.02)
    axes.grid(visible=True, color="0.92", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure


def is_drawn(band: Band) -> bool:
    """Say whether a metric is a curve worth a picture: one that moves, and no pace of a run."""
    moves = bool(np.isfinite(band.values).any()) and len(np.unique(band.values)) > 1
    return len(band.steps) > 1 and moves and not band.name.startswith("train/")


def _drawn(values: Numbers) -> Numbers:
    """Return the values to draw: a gap where one isn't finite."""
    return np.where(np.isfinite(values), values, math.nan)


def _short(labels: Sequence[str]) -> str:
    text = ", ".join(labels)
    return text if len(text) <= 40 else f"{labels[0]} … {labels[-1]}"


def final(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return the last values in a run.json's `metrics`; what isn't a number there is left out."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        number = as_number(value)
        if number is not None:
            found[name] = number
    return found
