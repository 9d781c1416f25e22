"""Where the time of a run went: by part, and the most expensive operations of a profile."""

from __future__ import annotations

import json
from contextlib import suppress

from ebmcore import EbmError
from ebmcore.runs import as_number, layout
from ebmcore.terminal import duration
from ebmcore_report.html import Html, joined, tag
from ebmcore_report.record import Record, Shown

_PARTS = 12  # bars
_BESIDE = "figures, drawn beside the training"  # which no step waits for
_LARGEST_PROFILE = 64 * 1024**2  # bytes


def time_spent(shown: Shown) -> Html | None:
    """Return the seconds of each part; of several runs, those of all together."""
    seconds: dict[str, float] = {}
    for run in shown.runs:
        given = run.facts.get("seconds_by_part")
        for part, value in given.items() if isinstance(given, dict) else ():
            if (number := as_number(value)) is not None and 0 <= number < 1e12:
                seconds[str(part)] = seconds.get(str(part), 0.0) + number
    profile = _profile(shown.runs[0]) if len(shown.runs) == 1 else {}
    if not any(seconds.values()) and not profile:
        return None
    parts = [] if not any(seconds.values()) else [bars(seconds, f"{len(shown.runs)} runs")]
    if _BESIDE in seconds:
        parts.append(
            tag("p", "Another process draws figures, so they take no time of the run's own.",
                class_="quiet")
        )  # fmt: skip
    if profile:
        what = "Operations of the profiled steps, with what they call"
        parts += [tag("h3", what), bars(profile, "profile")]
    title = "Where the time went" + ("" if len(shown.runs) == 1 else ", all runs together")
    return tag("section", tag("h2", title), *parts, id="time")


def bars(seconds: dict[str, float], label: str) -> Html:
    """Return horizontal bars, the longest first; beyond twelve the rest is one."""
    order = sorted(seconds.items(), key=lambda item: -item[1])
    if len(order) > _PARTS:
        order = [
            *order[:_PARTS],
            (f"{len(order) - _PARTS} others", sum(v for _, v in order[_PARTS:])),
        ]
    longest = max(value for _, value in order) or 1.0
    rows = [
        joined(
            tag("dt", name),
            tag(
                "dd", tag("span", class_="bar", style=f"width:{100 * value / longest:.1f}%"),
                tag("span", _short(value), class_="n"),
            ),
        )
        for name, value in order
    ]  # fmt: skip
    return tag("dl", *rows, class_="bars", aria_label=label)


def _short(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 0.1 else duration(seconds)


def _profile(run: Record) -> dict[str, float]:
    """Return the seconds of the operations in a torch profiler trace, if the run recorded one."""
    found: dict[str, float] = {}
    with suppress(OSError, EbmError, ValueError, RecursionError, AttributeError, TypeError):
        for event in json.loads(run.files.read(layout.PROFILE, _LARGEST_PROFILE))["traceEvents"]:
            took = as_number(event.get("dur"))
            if event.get("cat") in ("cpu_op", "kernel") and took is not None:
                name = str(event.get("name"))[:120]
                found[name] = found.get(name, 0.0) + took / 1e6
    return dict(sorted(found.items(), key=lambda item: -item[1])[:_PARTS])
