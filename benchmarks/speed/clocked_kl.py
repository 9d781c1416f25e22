"""A monitor that tells the KL, and when it was asked and done, so that its time can be left out."""

from __future__ import annotations

import time

import torch

from ebmcore import RunView, monitor
from speed.work import Array, kl


@monitor
def clocked_kl(view: RunView) -> dict[str, float]:
    """KL(five Gaussians ‖ model) in nats on the benchmark's grid, and the clock, once an epoch."""
    entered = time.time()

    def energies(points: Array) -> Array:
        with torch.no_grad():
            found: Array = view.energy(torch.from_numpy(points)).numpy()
        return found

    return {"kl": kl(energies), "entered": entered, "left": time.time()}
