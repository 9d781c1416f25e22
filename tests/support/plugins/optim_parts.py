"""Optimizers and schedules of a user's own, right ones and ones that lose their state."""

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ebmcore import PositiveFloat, lr_scheduler, optimizer


@optimizer
class Heavy(Optimizer):
    """Heavy ball: v ← m v + ∇, w ← w - lr v.

    Args:
        lr: The step size.
        momentum: The share of the velocity that a step keeps.
    """

    def __init__(self, params, *, lr: PositiveFloat = 0.1, momentum: float = 0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.move(weight, group)

    def move(self, weight, group):
        state = self.state[weight]
        velocity = state.setdefault("velocity", torch.zeros_like(weight))
        velocity.mul_(group["momentum"]).add_(weight.grad)
        weight.sub_(velocity, alpha=group["lr"])


@optimizer
class Forgets(Heavy):
    """The same, with a velocity that no state_dict holds."""

    def move(self, weight, group):
        held = vars(self).setdefault("held", {})
        velocity = held.setdefault(weight, torch.zeros_like(weight))
        velocity.mul_(group["momentum"]).add_(weight.grad)
        weight.sub_(velocity, alpha=group["lr"])


@optimizer
class Hoards(Heavy):
    """The same, with a set in its state, which no checkpoint can hold."""

    def move(self, weight, group):
        self.state[weight].setdefault("seen", set()).add(1)
        super().move(weight, group)


@optimizer
def slow_sgd(params, *, factor: PositiveFloat = 0.01):
    """Make torch's SGD with a small step."""
    return torch.optim.SGD(params, lr=factor)


@optimizer
def nothing(params):
    """Make no optimizer."""


@lr_scheduler
class Halves(LRScheduler):
    """Halve the rate every `every` steps."""

    def __init__(self, optimizer, *, every: int = 2):
        self.every = every
        super().__init__(optimizer)

    def get_lr(self):
        half = self.last_epoch and self.last_epoch % self.every == 0
        return [group["lr"] * (0.5 if half else 1.0) for group in self.optimizer.param_groups]


@lr_scheduler
class Forgetful:
    """Divide the rate by the number of steps, which no state_dict holds."""

    def __init__(self, optimizer):
        self.optimizer, self.steps = optimizer, 0

    def step(self):
        self.steps += 1
        self.optimizer.param_groups[0]["lr"] = 0.1 / self.steps

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass
