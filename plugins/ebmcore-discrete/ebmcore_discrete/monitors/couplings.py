"""The couplings of an Ising or Potts model, beside the true ones."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ebmcore import Binary, Categorical, RunView
from ebmcore_discrete.ising import Ising
from ebmcore_discrete.monitors.pictures import plot_weights


class CouplingsPicture:
    """A picture of J, and how far it is from the J that made the data, if the dataset knows it.

    - `matrix`: J of all pairs of sites, black where they prefer to differ, white where to be equal,
      grey at 0; on its right the true one on the same scale, where it is known. Sites count from 0,
      row by row of an event.
    - `rmse`: root mean square difference of J from the true one over all pairs, the diagonal, which
      is 0 in both, included, as published. Datasets such as `ising_draws` know it: by
      `energy.matrix()`.

    Raises ValueError when the energy has no method `matrix()`, as `ising` and `potts` have.
    """

    every = "10 epochs"
    metrics: ClassVar = ("rmse",)
    spaces: ClassVar = (Binary, Categorical)

    @staticmethod
    def check_energy(event_shape: tuple[int, ...]) -> Ising:
        """Make an energy that has couplings, for ebmcore.testing."""
        return Ising(sigma=0.3, event_shape=event_shape)

    def check(self, event_shape: tuple[int, ...], energy: Any) -> None:
        """Raise ValueError for an energy that has no couplings."""
        if not hasattr(energy, "matrix"):
            raise ValueError(
                "couplings shows the matrix J of an energy such as ising or potts, which have a "
                f"method matrix(); {type(energy).__name__} has none. Remove the monitor"
            )

    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the picture, and the error where it is known."""
        model: Any = view.energy
        self.check(tuple(view.data.shape[1:]), model)
        learnt = _of(model)
        truth = getattr(getattr(view.dataset, "original", view.dataset), "energy", None)
        panels, numbers = {"learnt": learnt}, dict[str, Any]()
        if hasattr(truth, "matrix") and _of(truth).shape == learnt.shape:
            numbers["rmse"] = float((learnt - _of(truth)).square().mean().sqrt())
            panels = {f"learnt, rmse {numbers['rmse']:.3g}": learnt, "of the data": _of(truth)}
        most = max(float(x.abs().max()) for x in panels.values())
        figure = plot_weights(
            view, "couplings of pairs of sites", panels, most=most, unit="J, in nats", axis="site"
        )
        return {**numbers, "matrix": figure}


@torch.no_grad()
def _of(energy: Any) -> Tensor:
    matrix: Tensor = energy.matrix().detach().double().cpu()
    return matrix
