"""Wrong learning-rate schedules, and the right one beside them."""

import torch
from kit_faults.fault import Fault
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler


class Fades(LRScheduler):
    """A right one: the rate over 1 + the number of steps."""

    def get_lr(self):
        return [rate / (1 + self.last_epoch) for rate in self.base_lrs]


def no_schedule(optimizer):
    """Make nothing."""


class Takes:
    """A schedule of a metric that forgets the best value."""

    def __init__(self, optimizer):
        self.optimizer, self.best = optimizer, float("inf")

    def step(self, value):
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.9 if value > self.best else 1.0
        self.best = min(value, self.best)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class BeginsAgain(Fades):
    def load_state_dict(self, state):
        super().load_state_dict({**state, "last_epoch": 0})


class TurnsNegative(Fades):
    def get_lr(self):
        return [rate * (1 - 0.1 * self.last_epoch) for rate in self.base_lrs]


class NeverMoves(Fades):
    def get_lr(self):
        return self.base_lrs


class Jitters(Fades):
    def get_lr(self):
        return [rate * (1 + 0.1 * float(torch.rand(()))) for rate in self.base_lrs]


FAULTS = tuple(
    Fault("lr_scheduler", wrong, check, Fades)
    for wrong, check in (
        (no_schedule, "built"),
        (Takes, "state_dict_round_trip"),
        (BeginsAgain, "load"),
        (BeginsAgain, "state_dict_round_trip"),
        (TurnsNegative, "rates"),
        (NeverMoves, "rates"),
        (Jitters, "streams"),
    )
)


def plateau(optimizer):
    """Make torch's schedule of a metric."""
    return lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)


def warmed(optimizer):
    """Make a warm-up and what follows it."""
    warm = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=4)
    rest = lr_scheduler.CosineAnnealingLR(optimizer, 30)
    return lr_scheduler.SequentialLR(optimizer, [warm, rest], [4])


RIGHT = (("lr_scheduler", plateau), ("lr_scheduler", warmed))
