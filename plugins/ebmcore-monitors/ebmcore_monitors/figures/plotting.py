"""Shared parts of the figures, made without pyplot: titles, colours, points of a plane.

The first figure imports matplotlib; importing this module imports neither it nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from torch import Tensor

    from ebmcore import RunView

    Points = NDArray[Any]  # numbers of any shape

Box = list[list[float]]  # the lowest and the highest corner
DATA = "#1a1a1a"
SAMPLES = "#e8590c"
ON_A_WELL = "#ffffff"  # data over contours, which are darkest where data are densest


def new_figure(view: RunView, width: float, height: float, title: str) -> Figure:
    """Make an empty figure of a size in inches, its title ending in the run's step and epoch."""
    return empty_figure(width, height, dated(view, title))


def dated(view: RunView, title: str) -> str:
    """Return a title with the run's step and, where it is known, the epoch."""
    epoch = "" if view.step and not view.epoch else f", epoch {view.epoch:.4g}"
    return f"{title} (step {view.step:,}{epoch})"


def empty_figure(width: float, height: float, title: str) -> Figure:
    """Make an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


def array(x: Tensor) -> Points:
    """Return a tensor's numbers as an array of float64."""
    numbers: Points = x.detach().double().cpu().numpy()
    return numbers


def plot_points(axes: Axes, x: Points, colour: str, label: str) -> None:
    """Scatter points of a plane, (n, 2), small and a little transparent so that crowds show."""
    edge = DATA if colour == ON_A_WELL else "none"
    along, up = x.T
    axes.scatter(along, up, s=7, c=colour, alpha=0.7, label=label, linewidths=0.4, edgecolors=edge)


def frame_plane(axes: Axes, box: Box) -> None:
    """Set the axes to a box, with equal units on both unless the box is very narrow."""
    (left, bottom), (right, top) = box
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
