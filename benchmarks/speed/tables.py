"""The tables, in Markdown, of what was measured; nothing is left out for being bad for us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speed.ranks_tables import ranks_tables
from speed.results import Results, Spread, digits
from speed.targets import first_at, targets

NAMES = {
    "plain": "tutorial's loop, plain torch",
    "plain, DataLoader": "the same with its DataLoader",
    "torchebm": "torchebm",
    "jax": "JAX, the whole loop jitted",
    "library": "ours as a library, eager",
    "library, compiled": "ours as a library, compiled",
    "runner": "ours, full runner, eager",
    "runner, compiled": "ours, full runner, compiled",
    "tutorial": "tutorial's recipe, plain torch",
    "tutorial, our runner": "tutorial's recipe, our runner",
    "example": "examples/five_gaussians.yaml",
    "example, bare": "the same, tracking: off, monitors: []",
}
KLS = (0.1, 0.05, 0.02)


def tables(results: Results) -> list[str]:
    """Return the lines of all the tables whose sections were measured."""
    parts = [
        facts(results),
        _targets(results),
        _step(results),
        _sizes(results, "Milliseconds a training step", "seconds", 1e3),
        _sizes(results, "Peak memory of a training process, MB", "megabytes", 1),
        _langevin(results),
        _scaling(results),
        _quality(results),
        _overhead(results),
        _startup(results),
        ranks_tables(results),
    ]
    return [line for part in parts if part for line in (*part, "")][:-1]


def figures(results: Results) -> dict[str, str]:
    """The figures of the running text."""
    (steps,) = results.seen("steps", section="overhead", event="block")
    return {"speed, steps of the overhead": f"{steps:,}"}


def grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table under its title; nothing when it has no rows."""
    if not rows:
        return []
    lines = [f"### {title}", "", f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def facts(results: Results) -> list[str]:
    """Return what the numbers depend on, in a sentence or two."""
    (found,) = results.where(section="facts")
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    took = sum(results.values("seconds", section="took"))
    short = " (quick: the main rows, fewer rounds)" if found["quick"] else ""
    if found["scale"] != 1:
        short += f" (a trial of the harness: {found['scale']:.0%} of the steps)"
    if found.get("works"):
        short += f" (sizes of the step: {', '.join(found['works'])})"
    machine = f"{found['architecture']} {found.get('instructions', '')}".strip()
    return [
        f"One interleaved run of {took / 60:.0f} minutes{short}, one thread a side, on "
        f"{found['cores']} cores ({machine}), load {found['load']:.1f} when it "
        f"began. Python {found['python']}, {versions}. Medians over blocks, in brackets the "
        "quartiles."
    ]


def _targets(results: Results) -> list[str]:
    rows = [[t.what, t.asked, t.found, t.verdict] for t in targets(results)]
    return grid("What was asked, and what was found", ["", "asked", "found", ""], rows)


def _step(results: Results) -> list[str]:
    plain = results.spread(section="step", work="main", side="plain")
    rows = []
    for side in results.seen("side", section="step", work="main"):
        here: dict[str, Any] = {"section": "step", "work": "main", "side": side}
        took = results.spread(**here)
        if took is None:
            rows.append([NAMES[side], results.trouble(**here), *[""] * 6])
            continue
        monitors = results.spread("monitors", **here) if side.startswith("runner") else None
        without = took.middle - (monitors.middle if monitors else 0)
        ratio = f"{plain.middle / without:.2f}" if plain else ""
        cpu = results.spread("cpu", **here)
        rows.append(
            [
                NAMES[side],
                took.text(1e3),
                digits(monitors.middle * 1e3) if monitors else "",
                ratio,
                f"{cpu.middle / took.middle:.2f}" if cpu else "",
                _one(results, "warm", "warm", here, 1),
                _one(results, "memory", "megabytes", here, 0),
                _one(results, "learn", "kl", here, 3),
            ]
        )
    steps = results.seen("steps", section="step", event="learn")
    header = [
        "PCD step: MLP 2-128-128-1, B 128, k 10",
        "ms a step",
        "of it monitors",
        "times as fast as the plain loop, monitors apart",
        "CPU s per s",
        "warm-up, s",
        "peak MB",
        f"KL after {steps[0] if steps else '?'} steps, nats",
    ]
    return grid("One training step", header, rows)


def _sizes(results: Results, title: str, key: str, factor: float) -> list[str]:
    works = results.seen("work", section="step")
    if len(works) < 2:
        return []
    rows = []
    for side in results.seen("side", section="step", work=works[1]):
        cells = [NAMES[side]]
        for work in works:
            here = {"section": "step", "work": work, "side": side}
            event = "block" if key == "seconds" else "memory"
            found = results.spread(key, **here, event=event)
            if found is None:
                trouble = results.trouble(**here)
                cells.append("" if trouble in cells else trouble)
                continue
            apart = results.spread("monitors", **here) if key == "seconds" else None
            less = apart.middle if apart else 0.0
            shown = Spread(*(value - less for value in found))
            cells.append(shown.text(factor) if key == "seconds" else f"{found.middle:.0f}")
        rows.append(cells)
    title += ", monitors apart" if key == "seconds" else ""
    return grid(title, ["", *works], rows)


def _langevin(results: Results) -> list[str]:
    rows = []
    for side in results.seen("side", section="chains"):
        cells = [NAMES[side]]
        for n in (128, 1000):
            here = {"section": "chains", "n": n, "side": side}
            took, jax = results.spread(**here), results.spread(**{**here, "side": "jax"})
            if took is None:
                cells += [results.trouble(**here), ""]
                continue
            cells += [took.text(1e6), f"{took.middle / jax.middle:.2f}" if jax else ""]
        cells.append(_one(results, "warm", "warm", {**here, "n": 128}, 1))
        rows.append(cells)
    header = [
        "µs a Langevin step",
        "128 chains",
        "of JAX's",
        "1000 chains",
        "of JAX's",
        "warm-up, s",
    ]
    return grid("Langevin steps alone, MLP 2-128-128-1", header, rows)


def _scaling(results: Results) -> list[str]:
    sizes = sorted(results.seen("n", section="chains"))
    if len(sizes) < 3:
        return []
    rows = []
    for side in results.seen("side", section="chains"):
        cells = [NAMES[side]]
        for n in sizes:
            here = {"section": "chains", "n": n, "side": side}
            took = results.spread(**here)
            peak = results.spread("megabytes", **here, event="memory")
            memory = f", {peak.middle:.0f} MB" if peak else ""
            text = took.text(1e9 / n) + memory if took else results.trouble(**here)
            cells.append(text)
        rows.append(cells)
    header = ["ns a chain and step, peak memory", *(f"{n:,} chains" for n in sizes)]
    return grid("From 100 to 100,000 chains", header, rows)


def _quality(results: Results) -> list[str]:
    rows = []
    for side in results.seen("side", section="quality"):
        curves = [e["curve"] for e in results.where(section="quality", side=side) if "curve" in e]
        if not curves:
            trouble = results.trouble(section="quality", side=side)
            rows.append([NAMES[side], trouble, *[""] * 5])
            continue
        cells = [NAMES[side]]
        for threshold in KLS:
            reached = [t for t in (first_at(curve, threshold) for curve in curves) if t is not None]
            found = Spread.of(reached)
            missed = len(curves) - len(reached)
            text = digits(found.middle) if found else "never"
            cells.append(f"{text}, {missed} of {len(curves)} never" if missed and found else text)
        ends = Spread.of(curve[-1][0] for curve in curves)
        last = Spread.of(curve[-1][1] for curve in curves)
        assert ends is not None
        assert last is not None
        rows.append([*cells, digits(ends.middle), digits(last.middle), str(len(curves))])
    header = [
        "seconds to a KL of",
        *(f"{threshold} nats" for threshold in KLS),
        "to the end",
        "KL there",
        "seeds",
    ]
    return grid("Five Gaussians: quality for time", header, rows)


def _overhead(results: Results) -> list[str]:
    rows = []
    for side in results.seen("side", section="overhead"):
        here = {"section": "overhead", "side": side}
        training = results.spread("training", **here)
        whole = results.spread("seconds", **here)
        if training is None or whole is None:
            rows.append([NAMES[side], results.trouble(**here), *[""] * 4])
            continue
        last = results.where(**here, event="block")[-1]
        before = results.spread("before", **here)
        rows.append(
            [
                NAMES[side],
                training.text(),
                whole.text(),
                digits(before.middle) if before else "",
                str(last["steps"]),
                ", ".join(f"{k} {v:.1f}" for k, v in last["seconds_by_monitor"].items()),
            ]
        )
    header = [
        "seconds",
        "training",
        "the whole call",
        "to step 100, with compiling",
        "steps",
        "in monitors",
    ]
    return grid("Tracking and monitors", header, rows)


def _startup(results: Results) -> list[str]:
    rows = []
    for entry in results.where(section="startup"):
        found = Spread.of(entry["rounds"])
        if found:
            rows.append([f"`{entry['command']}`", found.text()])
    lines = grid("Start-up", ["command", "seconds"], rows)
    for entry in results.where(section="startup")[:1]:
        if "load" in entry:  # measured by benchmarks/startup.py, not in the run of the other rows
            here = f"{entry['plugins']} plugins, load {entry['load']:.1f} when it began"
            lines += ["", f"Measured apart, {len(entry['rounds'])} rounds: {here}."]
    return lines


def _one(results: Results, event: str, key: str, here: dict[str, Any], places: int) -> str:
    found = results.spread(key, **{**here, "event": event})
    return "" if found is None else f"{found.middle:.{places}f}"
