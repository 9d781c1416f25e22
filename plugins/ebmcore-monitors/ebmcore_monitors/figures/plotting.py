"""Shared parts of the figures, made without pyplot: titles, colours, points of a plane.

The first figure imports matplotlib; importing this module does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ebmcore import RunView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA = "#1a1a1a"
SAMPLES = "#e8590c"
ON_A_WELL = "#ffffff"  # data over contours, which are darkest where data are densest


def new_figure(view: RunView, width: float, height: float, title: str) -> Figure:
    """Make an empty figure of a size in inches, its title ending in the run's step and epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    figure.suptitle(f"{title} (step {view.step:,}, epoch {view.epoch:.4g})", fontsize=11)
    return figure


def plot_points(axes: Axes, x: Tensor, colour: str, label: str) -> None:
    """Scatter points of a plane, (n, 2), small and a little transparent so that crowds show."""
    edge = DATA if colour == ON_A_WELL else "none"
    at = x.detach().double().cpu().numpy()
    axes.scatter(
        at[:, 0], at[:, 1], s=7, c=colour, alpha=0.7, label=label, linewidths=0.4, edgecolors=edge
    )


def frame_plane(axes: Axes, box: Tensor) -> None:
    """Set the axes to a box, (2, 2), with equal units on both unless the box is very narrow."""
    (left, bottom), (right, top) = box.tolist()
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    if 0.25 < (right - left) / (top - bottom) < 4.0:
        axes.set_aspect("equal")
    axes.set_xlabel("x₁")
    axes.set_ylabel("x₂")


def outside(x: Tensor, box: Tensor) -> float:
    """Return the share of the points, (n, 2), outside a box."""
    low, high = box.to(x)
    return float(((x < low) | (x > high)).any(1).float().mean())


def refuse_all_but_planes(monitor: str, event_shape: tuple[int, ...]) -> None:
    """Raise ValueError unless events are points of a plane, shape (2,)."""
    if tuple(event_shape) != (2,):
        instead = "; samples plots tables of other widths" if len(event_shape) == 1 else ""
        raise ValueError(
            f"{monitor} plots events of shape (2,), points of a plane; "
            f"this run's have shape {tuple(event_shape)}. Remove the monitor{instead}"
        )
