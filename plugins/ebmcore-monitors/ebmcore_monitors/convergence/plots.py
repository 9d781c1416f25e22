"""Plots of chains: traces, ranks, and energies beside their changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure
from ebmcore_monitors.points.lattice import is_lattice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOTTED = 8  # chains in a plot
BINS = 10  # of ranks


def plot_traces(view: RunView, draws: dict[str, Tensor], thin: int) -> Figure:
    """Plot numbers of some chains along their steps; each (kept, chains).

    Those of bits and categories are bands of grey, one for each chain.
    """
    figure = _figure(view, "traces", draws)
    for axes, (name, x) in zip(_stacked(figure, len(draws)), draws.items(), strict=True):
        steps, some = thin * torch.arange(1, len(x) + 1), x[:, :PLOTTED]
        if is_lattice(view.space) and name != "energy":
            most = float(x.max())
            ends = (float(steps[0]) - thin / 2, float(steps[-1]) + thin / 2)
            axes.imshow(
                some.T.numpy(), cmap="gray", vmin=0, vmax=most or 1, aspect="auto",
                interpolation="nearest", extent=(*ends, some.shape[1] + 0.5, 0.5),
            )  # fmt: skip
            axes.set_ylabel(f"chain\n{name}: 0 black, {most:g} white")
            continue
        for chain in some.unbind(1):
            axes.plot(steps.numpy(), chain.numpy(), color=SAMPLES, alpha=0.5, linewidth=0.7)
        axes.set_ylabel(f"{name} (nats)" if name == "energy" else name)
    axes.set_xlabel("sampler steps")
    return figure


def plot_ranks(view: RunView, draws: dict[str, Tensor]) -> Figure:
    """Plot how the ranks of some chains' numbers among all are spread: evenly if they agree.

    Equal numbers, such as bits, are ranked in a random order.
    Source: Vehtari et al. 2021, section 4.
    """
    figure = _figure(view, "ranks", draws)
    for axes, (name, x) in zip(_stacked(figure, len(draws)), draws.items(), strict=True):
        ranks = _ranks(x)
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
        axes.axhline(even, color=DATA, linewidth=1.0, linestyle="--", label="chains that agree")
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"{name}\ndraws of a chain")
    axes.set_xlabel("rank among all chains' draws")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", fontsize=8,
                  frameon=False)  # fmt: skip
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
    axes.set_ylabel("share of the draws, per nat")
    axes.legend(fontsize=8, frameon=False)
    return figure


def _figure(view: RunView, what: str, draws: dict[str, Tensor]) -> Figure:
    """Make a figure with room for a row of each number."""
    chains = draws["energy"].shape[1]
    title = f"{what} of {min(PLOTTED, chains)} of {chains} chains"
    return new_figure(view, 7.0, 1.6 * len(draws) + 0.8, title)


def _ranks(x: Tensor) -> Tensor:
    """Return the ranks of x from 1, in x's shape, those of equal numbers in a random order."""
    order = torch.randperm(x.numel(), generator=torch.Generator().manual_seed(0))
    order = order[x.flatten()[order].argsort()]
    ranks = torch.empty(x.numel(), dtype=torch.float64)
    ranks[order] = torch.arange(1.0, x.numel() + 1, dtype=torch.float64)
    return ranks.view(x.shape)


def _stacked(figure: Figure, rows: int) -> list[Axes]:
    return [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
