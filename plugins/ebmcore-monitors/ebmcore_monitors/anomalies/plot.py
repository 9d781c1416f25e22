"""Energies of normal points and anomalies beside the curves that follow from their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.anomalies.judged import Judged
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure
from ebmcore_monitors.statistics.average_precision import curves
from ebmcore_monitors.statistics.ranks import share_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 50
CORE = 0.98  # share of the normal energies whose width sets the histogram's
WIDTHS = 4.0  # of that core, that the histogram goes beyond it on either side


def plot(view: RunView, found: Judged) -> Figure:
    """Plot the histograms, the ROC and the precision-recall curve."""
    figure = new_figure(view, 12.0, 4.2, "energies of normal points and anomalies")
    histogram, roc, pr = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    _plot_energies(histogram, found)
    way = curves(found.anomalies, found.normal)
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    auroc = share_above(found.anomalies, found.normal)
    baseline = len(found.anomalies) / (len(found.anomalies) + len(found.normal))
    share = torch.cat([zero, way.false_positives])
    roc.plot(share.numpy(), torch.cat([zero, way.recall]).numpy(), color=SAMPLES)
    roc.plot([0, 1], [0, 1], color=DATA, linestyle="--", linewidth=0.8)
    roc.set_xlabel("normal points taken for anomalies")
    roc.set_ylabel("anomalies found")
    roc.set_title(f"ROC, area {auroc:.4f}", fontsize=10)
    pr.step(
        torch.cat([zero, way.recall]).numpy(),
        torch.cat([one * way.precision[0], way.precision]).numpy(),
        where="pre",
        color=SAMPLES,
    )
    pr.axhline(baseline, color=DATA, linestyle="--", linewidth=0.8)
    pr.set_xlabel("anomalies found (recall)")
    pr.set_ylabel("anomalies among those (precision)")
    pr.set_title(f"precision-recall, area {way.average_precision:.4f}", fontsize=10)
    low = baseline < 0.5
    pr.annotate(
        f"{baseline:.3g} for an energy that tells nothing",
        (0.02, baseline),
        xytext=(0, 4 if low else -4),
        textcoords="offset points",
        va="bottom" if low else "top",
        fontsize=7,
    )
    for axes in (roc, pr):
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
    return figure


def _plot_energies(axes: Axes, found: Judged) -> None:
    """Plot both histograms on shared bins; the legend says the share beyond them."""
    low, high = _range(found)
    edges = torch.linspace(low, high, BINS + 1, dtype=torch.float64)
    kinds = (
        ("normal", found.normal, DATA, True),
        ("anomalies", found.anomalies, SAMPLES, False),
    )
    for name, energy, colour, filled in kinds:
        counts = torch.histogram(energy[energy.isfinite()], edges).hist
        density = counts / (len(energy) * float(edges[1] - edges[0]))
        above, below = (float(side.double().mean()) for side in (energy > high, energy < low))
        beyond = [f"{above:.0%} further right"] if above else []
        beyond += [f"{below:.0%} further left"] if below else []
        axes.stairs(
            density.numpy(),
            edges.numpy(),
            color=colour,
            fill=filled,
            alpha=0.3 if filled else 1.0,
            linewidth=1.4,
            label=f"{name} ({', '.join([f'{len(energy):,}', *beyond])})",
        )
    axes.set_xlabel("energy (nats)")
    axes.set_ylabel("density (per nat)")
    axes.set_xlim(low, high)
    axes.legend(loc="upper right", fontsize=8, frameon=False)


def _range(found: Judged) -> tuple[float, float]:
    """Return the ends of the histogram: of all energies, but not far beyond the normal ones."""
    every = torch.cat([found.normal, found.anomalies])
    every = every[every.isfinite()]
    normal = found.normal[found.normal.isfinite()]
    if not len(every) or not len(normal):
        return 0.0, 1.0
    left, right = _quantile(normal, (1 - CORE) / 2), _quantile(normal, (1 + CORE) / 2)
    reach = WIDTHS * max(right - left, 1e-6)
    low, high = max(float(every.min()), left - reach), min(float(every.max()), right + reach)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _quantile(x: Tensor, share: float) -> float:
    """Return a quantile of numbers of any number; torch's own takes at most 2²⁴."""
    return float(x.sort().values[round(share * (len(x) - 1))])
