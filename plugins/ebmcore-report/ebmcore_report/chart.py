"""A chart of one metric, as inline SVG: a curve for each run, and bands over several."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ebmcore_report.axis import Axis
from ebmcore_report.curves import Band, Curve, thinned
from ebmcore_report.html import Html, joined, tag

WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 10, 24  # margins
COLOURS = 8  # --c1 … --c8 of the style sheet
_MOST_LINES = 40  # of single runs in a chart; beyond that the band alone


class Line(NamedTuple):
    """One run's curve in a chart."""

    label: str
    curve: Curve
    colour: int  # 1 to COLOURS; 0 is the text's
    faint: bool = False  # it stands behind a band


class BandOf(NamedTuple):
    """The band of one group in a chart."""

    label: str
    band: Band
    colour: int


def chart(name: str, lines: Sequence[Line], bands: Sequence[BandOf] = ()) -> Html:
    """Return the figure of one metric; the script shows the values under the pointer."""
    drawn = [line._replace(curve=thinned(line.curve)) for line in lines]
    steps = [step for line in drawn for step in line.curve.steps]
    finite = [v for line in drawn for v in line.curve.values if math.isfinite(v)]
    title = tag("figcaption", tag("b", name), " ", tag("span", _last(lines, bands), class_="n"))
    if not finite:
        return tag("figure", title, tag("p", "No value is finite.", class_="quiet"), class_="chart")
    x = Axis.of(steps, WIDTH - LEFT - RIGHT)
    y = Axis.of(finite, HEIGHT - TOP - BOTTOM, may_be_log=True)
    shown = drawn if len(drawn) <= _MOST_LINES or not bands else []
    inner = joined(
        *_grid(x, y),
        *(_area(one, x, y) for one in bands),
        *(piece for line in shown for piece in _curve(line, x, y)),
        *(_middle(one, x, y) for one in bands),
        tag("path", class_="cursor", d=f"M0 {TOP}V{HEIGHT - BOTTOM}", visibility="hidden"),
    )
    svg = tag(
        "svg", inner, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", tabindex=0,
        aria_label=f"{name}, steps {min(steps)} to {max(steps)}: {_last(lines, bands)}",
        data_axis=json.dumps([x.low, x.high, LEFT, WIDTH - RIGHT]),
        data_lines=json.dumps(_values(shown, bands), separators=(",", ":")),
    )  # fmt: skip
    words = ["logarithmic"] if y.log else []
    lost = sum(not math.isfinite(v) for line in lines for v in line.curve.values)
    words += [f"{lost} values that aren't finite, marked at the top"] if lost else []
    below = tag("output", ", ".join(words), data_rest=", ".join(words))
    return tag("figure", title, svg, below, class_="chart")


def _last(lines: Sequence[Line], bands: Sequence[BandOf]) -> str:
    if len(lines) == 1:
        return f"{lines[0].curve.last:.5g}"
    ends = [
        f"{one.band.middle[-1]:.4g} [{one.band.low[-1]:.4g}, {one.band.high[-1]:.4g}]"
        for one in bands
    ]
    return " · ".join(ends)


def _values(lines: Sequence[Line], bands: Sequence[BandOf]) -> list[list[object]]:
    """Return the values that the script shows: [label, colour, steps, values] of each line."""
    found: list[list[object]] = [
        [one.label, one.colour, one.band.steps, [_short(v) for v in one.band.middle]]
        for one in bands
    ]
    for line in lines if len(lines) <= COLOURS else ():
        values = [_short(v) for v in line.curve.values]
        found.append([line.label, line.colour, line.curve.steps, values])
    return found


def _short(value: float) -> float | str:
    return float(f"{value:.5g}") if math.isfinite(value) else str(value)


def _grid(x: Axis, y: Axis) -> Iterator[Html]:
    for value in y.ticks:
        at = _y(y, value)
        yield tag("path", class_="grid", d=f"M{LEFT} {at}H{WIDTH - RIGHT}")
        yield tag("text", f"{value:.4g}", x=LEFT - 6, y=float(at) + 3.5, class_="y")
    for value in x.ticks:
        if value == int(value):
            yield tag("text", f"{int(value):,}", x=_x(x, value), y=HEIGHT - 8, class_="x")


def _x(axis: Axis, step: float) -> str:
    return f"{LEFT + axis.place(step):.1f}"


def _y(axis: Axis, value: float) -> str:
    return f"{HEIGHT - BOTTOM - axis.place(value):.1f}"


def _curve(line: Line, x: Axis, y: Axis) -> Iterator[Html]:
    """Yield the stretches of finite values, and a mark at the top for each other value."""
    style = f"c{line.colour}{' faint' if line.faint else ''}"
    stretch: list[str] = []
    for step, value in [*zip(*line.curve, strict=True), (0, math.nan)]:
        if math.isfinite(value):
            stretch.append(f"{_x(x, step)} {_y(y, value)}")
            continue
        if len(stretch) > 1:
            yield tag("polyline", class_=style, points=" ".join(stretch))
        elif stretch:
            at, height = stretch[0].split()
            yield tag("circle", class_=style, cx=at, cy=height, r=3)
        stretch = []
    for step, value in zip(*line.curve, strict=True):
        if not math.isfinite(value):
            yield tag("path", class_=f"lost {style}", d=f"M{_x(x, step)} {TOP - 6}v8")


def _area(one: BandOf, x: Axis, y: Axis) -> Html:
    band = one.band
    there = [f"{_x(x, s)} {_y(y, v)}" for s, v in zip(band.steps, band.high, strict=True)]
    back = [f"{_x(x, s)} {_y(y, v)}" for s, v in zip(band.steps, band.low, strict=True)]
    return tag("polygon", class_=f"band c{one.colour}", points=" ".join([*there, *back[::-1]]))


def _middle(one: BandOf, x: Axis, y: Axis) -> Html:
    steps, values = one.band.steps, one.band.middle
    points = " ".join(f"{_x(x, s)} {_y(y, v)}" for s, v in zip(steps, values, strict=True))
    return tag("polyline", class_=f"median c{one.colour}", points=points)
