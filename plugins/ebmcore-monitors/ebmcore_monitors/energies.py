"""Energies of data and samples: the first numbers to look at, but not a likelihood."""

from __future__ import annotations

from typing import ClassVar

from ebmcore import PositiveInt, RunView
from ebmcore_monitors.points.labels import energies_at, subset_with_conditions


class Energies:
    """Mean and standard deviation of E on data, held-out data and samples, in nats.

    Of an energy that requires labels it is E(x, y), each at its own label, and of one that takes a
    mask the energy of the steps that count.

    `gap` is mean E(data) - mean E(samples). At convergence it is near 0, but it can be near 0 on a
    collapsed model too: it is not a likelihood. E is defined only up to a constant, so compare gaps
    and differences, not means of different runs. Numbers that can't be computed (no held-out data,
    no samples, a standard deviation of one point) are left out.

    Args:
        n: Number of points, at most, of the data, the held-out data and the samples each.
    """

    every = "1 epoch"
    metrics: ClassVar = (
        *(f"{points}_{of}" for points in ("data", "held_out", "samples") for of in ("mean", "sd")),
        "gap",
    )
    takes_mask = True

    def __init__(self, *, n: PositiveInt = 1000) -> None:
        self.n = n

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return `<points>_mean` and `<points>_sd` for each kind of point, and `gap`."""
        kinds = {
            "data": (view.data, view.data_y, view.data_mask),
            "held_out": (view.held_out, view.held_out_y, view.held_out_mask),
            "samples": (view.x_neg, view.y_neg, view.mask_neg),
        }
        numbers: dict[str, float] = {}
        for name, (points, *conditions) in kinds.items():
            if points is None or len(points) == 0:
                continue
            energy = energies_at(view, *subset_with_conditions(view, points, *conditions, n=self.n))
            numbers[f"{name}_mean"] = energy.mean().item()
            if len(energy) > 1:
                numbers[f"{name}_sd"] = energy.std().item()
        if "samples_mean" in numbers:
            numbers["gap"] = numbers["data_mean"] - numbers["samples_mean"]
        return numbers
