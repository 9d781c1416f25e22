"""The numbers of a report: curves by prefix, last values, and how well the sampler mixed."""

from __future__ import annotations

import math
from statistics import median

from ebmcore.runs import as_number
from ebmcore_report.chart import BandOf, Line, chart
from ebmcore_report.curves import band, by_prefix
from ebmcore_report.html import Html, joined, number, table, tag
from ebmcore_report.record import Shown
from ebmcore_report.sections.overview import colour, last_metrics

_COLUMNS = 5  # runs that have a column of their own
_OPEN = 24  # charts of a prefix that aren't folded away
# words of a metric's name that speak of the sampler -> how to read it
_HEALTH = {
    "rhat": "R-hat: 1 where the chains agree; over 1.01 they don't yet",
    "ess_": "effective number of independent samples",
    "acceptance": "share of proposals that the kernel accepts",
    "divergences": "trajectories that left the energy's level",
    "long_run": "long chains against the data",
    "mixed": "1 where long chains agree",
    "score_norm": "mean length of the energy's gradient, nats per unit of x",
    "step_ratio": "gradient part of a step over its noise",
    "d_s": "mean E(data) - mean E(samples), nats: near 0 when the chains keep up",
    "energy_gap": "mean E(data) - mean E(samples) of a training step, nats",
    "implied_temperature": "T of the density exp(-E/T) that the sampler targets",
}


def curves(shown: Shown) -> Html | None:
    """Return a chart for each metric that was recorded more than once, grouped by prefix."""
    names = {n for run in shown.runs for n, c in run.curves.items() if len(c.steps) > 1}
    if not names:
        return None
    parts = []
    for prefix, group in by_prefix(sorted(names)).items():
        charts = tag("div", *(_chart(name, shown) for name in group), class_="charts")
        title = tag("h3", prefix or "others")
        inner = charts if len(group) <= _OPEN else tag("details", tag("summary", "Show"), charts)
        parts.append(joined(title, inner))
    note = "Bands: the median and the range over the runs." if len(shown.runs) > 1 else ""
    return tag(
        "section", tag("h2", "Curves"), tag("p", note, class_="quiet") if note else None, *parts,
        id="curves",
    )  # fmt: skip


def _chart(name: str, shown: Shown) -> Html:
    several = [group for group in shown.groups if len(group.runs) > 1]
    faint = len(several) > 1 or len(shown.runs) > 8
    lines = [
        Line(run.label, run.curves[name], colour(i, shown), faint)
        for i, run in enumerate(shown.runs)
        if name in run.curves
    ]
    bands = []
    if len(several) > 1:
        for place, group in enumerate(shown.groups):
            found = band([run.curves[name] for run in group.runs if name in run.curves])
            if found is not None:
                bands.append(BandOf(group.label, found, place % 8 + 1))
    elif len(lines) > 1 and (found := band([line.curve for line in lines])) is not None:
        bands.append(BandOf("median", found, 0))
    return chart(name, lines, bands)


def last_values(shown: Shown) -> Html | None:
    """Return the last value of each metric; of several runs the median and the range."""
    found = [last_metrics(run) for run in shown.runs]
    names = sorted({name for one in found for name in one})
    if not names:
        return None
    alone = len(found) == 1
    with_columns = len(found) <= _COLUMNS
    own = [run.label for run in shown.runs] if with_columns else []
    columns = ["metric", "last value"] if alone else ["metric", *own, "median", "lowest", "highest"]
    rows: list[list[object]] = []
    for name in names:
        values = [one.get(name) for one in found]
        there = [v for v in values if v is not None and math.isfinite(v)]
        each = [number(v) for v in values] if with_columns else []
        if not alone:
            ends = (median(there), min(there), max(there)) if there else (None, None, None)
            each += [number(v) for v in ends]
        rows.append([name, *each])
    content = table(columns, rows, label="last value of each metric", class_="numbers")
    return tag("section", tag("h2", "Last values"), content, id="values")


def sampler_health(shown: Shown) -> Html | None:
    """Return the last values of the metrics that say how well the chains mixed."""
    names: dict[str, str] = {}
    for name in sorted({name for run in shown.runs for name in run.curves}):
        word = name.rpartition("/")[2]
        meaning = next((m for w, m in _HEALTH.items() if word.startswith(w)), "")
        if meaning or name.startswith("sampler_health/"):
            names[name] = meaning
    if not names:
        return None
    rows: list[list[object]] = []
    for name, meaning in names.items():
        values = [run.curves[name].last for run in shown.runs if name in run.curves]
        finite = [v for v in values if math.isfinite(v)]
        word = name.rpartition("/")[2]
        poor = word.startswith("rhat") and any(v > 1.01 for v in values)
        mark = tag("span", "not mixed", class_="badge failed") if poor else None
        shown_value = number(values[0] if len(values) == 1 else median(finite) if finite else None)
        rows.append([name, joined(shown_value, " ", mark), meaning])
    value = "last value" if len(shown.runs) == 1 else "median of last values"
    content = table(["metric", value, "meaning"], rows, label="sampler health")
    return tag("section", tag("h2", "Sampler health"), content, id="sampler")


def evaluation(shown: Shown) -> Html | None:
    """Return the numbers that `ebmcore evaluate` found."""
    runs = [run for run in shown.runs if run.evaluation]
    if not runs:
        return None
    found = []
    for run in runs:
        metrics = run.evaluation.get("metrics")
        given = metrics if isinstance(metrics, dict) else {}
        found.append({str(name): as_number(value) for name, value in given.items()})
    names = sorted({name for one in found for name in one})
    shown_runs = runs[: _COLUMNS + 1]
    columns = ["metric", *(run.label for run in shown_runs)]
    rows: list[list[object]] = [
        [name, *(number(one.get(name)) for one in found[: len(shown_runs)])] for name in names
    ]
    content = table(columns, rows, label="evaluation", class_="numbers")
    note = tag("p", "Of the trained energy, by ", tag("code", "ebmcore evaluate"), class_="quiet")
    return tag("section", tag("h2", "Evaluation"), note, content, id="evaluation")
