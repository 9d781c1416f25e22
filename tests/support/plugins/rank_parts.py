"""Parts that tell ranks apart; the tests of runs on several ranks load them as a plugin."""

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn

from ebmcore import callback, conditioned, energy, loss, monitor

RANK = int(os.environ.get("RANK", "0"))


@energy
class remembers(nn.Module):  # noqa: N801 (named as in a config)
    """E(x) = ½ Σ (w (x - m))², m the running mean of the data it was trained on."""

    def __init__(self, event_shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(event_shape))
        self.register_buffer("mean", torch.zeros(event_shape))
        self.register_buffer("mask", torch.full(event_shape, -torch.inf))

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.mean += 0.1 * (x.mean(0) - self.mean)
        return 0.5 * (self.weight * (x - self.mean)).square().flatten(1).sum(1)


@loss
def ends(energy, x, step, y=None, *, rank: int = 1, at: int = -1, how: str = "raise"):
    """End one rank, or with -1 all, at a step: by an exception, or by a signal's name."""
    if step == at and rank in (RANK, -1):
        Path("ended").touch()
        if how == "raise":
            raise KeyError("broken on purpose")
        os.kill(os.getpid(), getattr(signal, how))
    return conditioned(energy, y=y)(x).mean() * 0


@loss
def sleeps(energy, x, step, *, rank: int = 1, at: int = 12):
    """Keep the others waiting for three seconds, on one rank."""
    time.sleep(3 if step == at and rank == RANK else 0)
    return energy(x).mean() * 0


@loss
def overflows_on(energy, x, step, *, rank: int = 1, at: int = 3):
    """Turn to NaN at a step, on one rank."""
    return energy(x).mean() * (float("nan") if step == at and rank == RANK else 0.0)


@callback
class ends_when_saved:  # noqa: N801
    """Stop the run when a checkpoint was written."""

    def on_checkpoint(self, run, path):
        assert RANK == 0
        run.stop("it is saved")


@monitor
def crowd(view):
    """Say how many events there are to be seen, and how many of them differ."""
    kept = view.walk.__self__.chains.kept().x  # what a draw begins at
    return {
        "x": len(view.x),
        "x_neg": len(view.x_neg),
        "different": len(view.x_neg.unique(dim=0)),
        "kept": len(kept.unique(dim=0)),
    }
