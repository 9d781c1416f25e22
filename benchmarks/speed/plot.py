"""One picture of the measurements: the step, the chains, and the quality for time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from speed.results import Results

COLOURS = {
    "plain": "0.45",
    "plain, DataLoader": "0.65",
    "torchebm": "tab:orange",
    "jax": "tab:green",
    "library": "tab:cyan",
    "library, compiled": "tab:blue",
    "runner": "tab:pink",
    "runner, compiled": "tab:red",
    "tutorial": "0.45",
    "tutorial, our runner": "tab:orange",
    "example": "tab:blue",
}


def draw(results: Results, file: Path) -> None:
    """Write the picture, a panel for each section that was measured."""
    panels = [
        panel
        for section, panel in (("step", _step), ("chains", _chains), ("quality", _quality))
        if results.where(section=section)
    ]
    figure = Figure(figsize=(5 * max(1, len(panels)), 3.8), dpi=120, layout="constrained")
    for number, panel in enumerate(panels):
        panel(results, figure.add_subplot(1, len(panels), number + 1))
    figure.savefig(file, metadata={"Software": None})


def _step(results: Results, axes: Any) -> None:
    sides = results.seen("side", section="step", work="main")
    for place, side in enumerate(reversed(sides)):
        found = results.spread(section="step", work="main", side=side)
        if found is None:
            continue
        middle, low, high = (1e3 * value for value in found)
        axes.barh(place, middle, color=COLOURS[side])
        axes.errorbar(middle, place, xerr=[[middle - low], [high - middle]], color="black")
        apart = results.spread("monitors", section="step", work="main", side=side)
        if apart and apart.middle:
            axes.barh(place, -1e3 * apart.middle, left=middle, color="white", alpha=0.6)
    axes.set_yticks(range(len(sides)), reversed(sides))
    axes.set_xlabel("ms a training step (pale: monitors)")


def _chains(results: Results, axes: Any) -> None:
    for side in results.seen("side", section="chains"):
        points = []
        for n in sorted(results.seen("n", section="chains")):
            found = results.spread(section="chains", n=n, side=side)
            if found is not None:
                points.append((n, *(value / n * 1e9 for value in found)))
        if points:
            n, middle, low, high = zip(*points, strict=True)
            axes.plot(n, middle, "o-", color=COLOURS[side], label=side, markersize=4)
            axes.fill_between(n, low, high, color=COLOURS[side], alpha=0.2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("chains")
    axes.set_ylabel("ns a chain and Langevin step")
    axes.legend(fontsize=8)


def _quality(results: Results, axes: Any) -> None:
    named: set[str] = set()
    for entry in results.where(section="quality"):
        if "curve" not in entry:
            continue
        seconds, kls = zip(*entry["curve"], strict=True)
        label = None if entry["side"] in named else entry["side"]
        named.add(entry["side"])
        axes.plot(seconds, kls, color=COLOURS[entry["side"]], label=label, linewidth=1)
    for threshold in (0.1, 0.05, 0.02):
        axes.axhline(threshold, color="0.8", linewidth=0.8, zorder=0)
    axes.set_yscale("log")
    axes.set_xlabel("seconds, evaluation left out")
    axes.set_ylabel("KL, nats")
    if named:
        axes.legend(fontsize=8)
