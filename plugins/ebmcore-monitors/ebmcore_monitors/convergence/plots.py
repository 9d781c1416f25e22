"""Plots of chains: traces, ranks, and energies beside their changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure
from ebmcore_monitors.statistics.ranks import average_ranks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOTTED = 8  # chains in a plot
BINS = 10  # of ranks


def plot_traces(view: RunView, draws: dict[str, Tensor], thin: int) -> Figure:
    """Plot numbers of some chains along their steps; each (kept, chains)."""
    figure = new_figure(view, 7.0, 1.6 * len(draws) + 0.6, "traces of chains")
    for axes, (name, x) in zip(_stacked(figure, len(draws)), draws.items(), strict=True):
        steps = (thin * torch.arange(1, len(x) + 1)).numpy()
        for chain in x[:, :PLOTTED].unbind(1):
            axes.plot(steps, chain.numpy(), color=SAMPLES, alpha=0.5, linewidth=0.7)
        axes.set_ylabel(name)
    axes.set_xlabel("sampler steps")
    return figure


def plot_ranks(view: RunView, draws: dict[str, Tensor]) -> Figure:
    """Plot how the ranks of some chains' numbers among all are spread: evenly if they agree.

    Source: Vehtari et al. 2021, section 4.
    """
    figure = new_figure(view, 7.0, 1.6 * len(draws) + 0.6, "ranks of chains")
    for axes, (name, x) in zip(_stacked(figure, len(draws)), draws.items(), strict=True):
        ranks = average_ranks(x.double())
        even = len(x) / BINS
        edges = torch.linspace(0.5, x.numel() + 0.5, BINS + 1)
        for chain in ranks[:, :PLOTTED].unbind(1):
            counts = torch.histc(chain, BINS, float(edges[0]), float(edges[-1]))
            axes.stairs(
                counts.numpy(),
                edges.numpy(),
                baseline=None,
                color=SAMPLES,
                alpha=0.5,
                linewidth=0.7,
            )
        axes.axhline(even, color=DATA, linewidth=1.0, linestyle="--")
        axes.set_ylabel(name)
    axes.set_xlabel("rank among all chains' draws")
    return figure


def plot_energies(view: RunView, energy: Tensor) -> Figure:
    """Plot the energies of all draws and their changes between kept states, (kept, chains).

    Changes much narrower than the energies mean that chains cross the energies slowly.
    Source: Betancourt 2016, "Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte
    Carlo".
    """
    figure = new_figure(view, 6.0, 3.6, "energies and their changes")
    axes = figure.add_subplot()
    parts = {"energy - its mean": energy - energy.mean(), "change of a chain": energy.diff(dim=0)}
    for (name, x), colour in zip(parts.items(), (DATA, SAMPLES), strict=True):
        axes.hist(x.flatten().numpy(), bins=60, density=True, alpha=0.5, color=colour, label=name)
    axes.set_xlabel("nats")
    axes.legend(fontsize=8, frameon=False)
    return figure


def _stacked(figure: Figure, rows: int) -> list[Axes]:
    return [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
