"""The head of a report: which runs, how they stand, and what they warned of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ebmcore.terminal import duration
from ebmcore_report.differences import differences, short
from ebmcore_report.html import Html, joined, number, table, tag
from ebmcore_report.record import Record, Shown, text_of

_KEYS = 6  # of the config that differ, in the table of runs
_METRICS = 4  # in the table of runs


def head(shown: Shown) -> Html:
    """Return the title, and the facts of a run that stands alone."""
    names = list(dict.fromkeys(group.label for group in shown.groups))
    title = tag("h1", " · ".join(names[:4]) + (" · …" if len(names) > 4 else ""))
    if len(shown.runs) != 1:
        statuses = [run.account.status for run in shown.runs]
        counts = {status: statuses.count(status) for status in sorted(set(statuses))}
        badges = [badge(status, f"{n} {status}") for status, n in counts.items()]
        return joined(title, tag("p", f"{len(shown.runs)} runs ", *badges, class_="badges"))
    run = shown.runs[0]
    status = badge(run.account.status)
    return joined(title, tag("p", status, class_="badges"), tag("dl", *facts(run), class_="facts"))


def badge(status: str, text: str = "") -> Html:
    """Return a run's status."""
    return tag("span", text or status, class_=f"badge {status.lower()}")


def facts(run: Record) -> list[Html]:
    """Return what one run's directory says of it, in pairs of a word and its meaning."""
    account, record = run.account, run.facts
    host = text_of(record.get("host"))
    pairs = {
        "step": steps(run),
        "took": duration(account.seconds),
        "started": moment(account.started),
        "device": " on ".join(word for word in (text_of(record.get("device")), host) if word),
        "seed": record.get("seed"),
        "directory": tag("code", account.path),
        "stopped": record.get("stopped") or record.get("ended_early"),
        "error": record.get("error"),
    }
    return [
        tag("div", tag("dt", key), tag("dd", value))
        for key, value in pairs.items()
        if value not in (None, "", "-", "–")
    ]


def runs_table(shown: Shown) -> Html | None:
    """Return a row for each of several runs, with the keys of the config in which they differ."""
    if len(shown.runs) < 2:
        return None
    differing = differences(shown.runs)
    keys, metrics = list(differing)[:_KEYS], common_metrics(shown.runs)[:_METRICS]
    rows = []
    for i, run in enumerate(shown.runs):
        swatch = tag("i", class_=f"swatch c{colour(i, shown)}")
        rows.append(
            [
                joined(swatch, run.label),
                badge(run.account.status),
                steps(run),
                duration(run.account.seconds),
                *(short(differing[key][i]) for key in keys),
                *(number(_last(run, name)) for name in metrics),
            ]
        )
    columns: list[Any] = ["run", "status", "step", "took", *keys, *metrics]
    more = len(differing) - len(keys)
    note = f"{more} more keys of their configs differ." if more > 0 else ""
    return tag(
        "section", tag("h2", "Runs"), table(columns, rows, label="runs"),
        tag("p", note, class_="quiet") if note else None, id="runs",
    )  # fmt: skip


def colour(index: int, shown: Shown) -> int:
    """Return a run's colour in charts: of several groups that of its group, else its own.

    0 is that of the text, for one of more runs than there are colours.
    """
    several = [group for group in shown.groups if len(group.runs) > 1]
    if len(several) < 2:
        return index % 8 + 1 if len(shown.runs) <= 8 else 0
    for place, group in enumerate(shown.groups):
        if index < len(group.runs):
            return place % 8 + 1
        index -= len(group.runs)
    return 0


def warnings(shown: Shown) -> Html | None:
    """Return the warnings and the advice of the runs; one that several gave stands once."""
    found: dict[str, list[str]] = {}
    for run in [*shown.parents, *shown.runs]:
        for text in dict.fromkeys(run.warnings):
            found.setdefault(text, []).append(run.label)
    if not found:
        return None
    alone = len(shown.runs) == 1
    items = [
        tag("li", text, None if alone else tag("span", _who(labels, shown), class_="quiet"))
        for text, labels in found.items()
    ]
    content = tag("ul", *items, class_="warnings")
    title = f"Warnings and advice ({len(items)})"
    if len(items) > 8:
        content = tag("details", tag("summary", "Show them"), content)
    return tag("section", tag("h2", title), content, id="warnings")


def _who(labels: list[str], shown: Shown) -> str:
    if len(labels) == len(shown.runs):
        return " (all runs)"
    return f" ({', '.join(labels[:4])}{', …' if len(labels) > 4 else ''})"


def common_metrics(runs: list[Record]) -> list[str]:
    """Return the metrics to compare runs by: the loss, then those of the monitors."""
    names = {name for run in runs for name in last_metrics(run)}
    order = ("loss", "likelihood", "auroc", "two_sample", "fidelity", "gap")
    ranked = [n for word in order for n in sorted(names) if word in n and "train/" not in n]
    return [n for n in dict.fromkeys(ranked) if not n.startswith("loss/")]


def last_metrics(run: Record) -> Mapping[str, float]:
    """Return the last value of each metric."""
    return {name: curve.last for name, curve in run.curves.items()}


def _last(run: Record, name: str) -> float | None:
    curve = run.curves.get(name)
    return None if curve is None else curve.last


def steps(run: Record) -> str:
    """Return how far a run is."""
    account = run.account
    if account.step is None:
        return "–"
    return (
        f"{account.step:,}" if account.steps is None else f"{account.step:,} of {account.steps:,}"
    )


def moment(seconds: float | None) -> str:
    """Return a time of the clock, in UTC."""
    if seconds is None:
        return "–"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
