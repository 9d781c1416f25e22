"""Wrong optimizers, and the right one beside them."""

import torch
from kit_faults.fault import Fault
from torch.optim import Optimizer


class Heavy(Optimizer):
    """A right one: v ← m v + ∇ + λ w, w ← w - lr v."""

    def __init__(self, params, *, lr: float = 0.1, m: float = 0.5, decay: float = 0.01):
        super().__init__(params, {"lr": lr, "m": m, "decay": decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.move(weight, group)

    def move(self, weight, group):
        velocity = self.velocity(weight)
        velocity.mul_(group["m"]).add_(weight.grad).add_(weight, alpha=group["decay"])
        weight.sub_(velocity, alpha=group["lr"])

    def velocity(self, weight):
        return self.state[weight].setdefault("velocity", torch.zeros_like(weight))


def no_optimizer(params):
    """Make nothing."""


class NeedsTheLoss(Heavy):
    def step(self, closure):
        super().step()


class Climbs(Heavy):
    def move(self, weight, group):
        weight.add_(weight.grad, alpha=group["lr"])


class HidesItsVelocity(Heavy):
    def velocity(self, weight):
        held = vars(self).setdefault("held", {})
        return held.setdefault(weight, torch.zeros_like(weight))


class CountsSteps(Heavy):
    """Halves its steps after ten of them, which no state_dict counts."""

    count = 0

    def move(self, weight, group):
        self.count += 1
        super().move(weight, {**group, "lr": group["lr"] * (0.5 if self.count > 20 else 1)})


class KeepsASet(Heavy):
    def velocity(self, weight):
        self.state[weight].setdefault("seen", set()).add(1)
        return super().velocity(weight)


class RoundsInLoad(Heavy):
    def load_state_dict(self, state):
        super().load_state_dict(state)
        for held in self.state.values():
            held["velocity"] = held["velocity"].float().double()


class OwnRate(Heavy):
    def __init__(self, params, *, lr: float = 0.1):
        super().__init__(params, lr=lr)
        self.lr = lr

    def move(self, weight, group):
        super().move(weight, {**group, "lr": self.lr})


class DecaysAll(Heavy):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                weight.mul_(1 - group["decay"])
        super().step()


class WritesToTheGradient(Heavy):
    def move(self, weight, group):
        weight.grad.add_(weight, alpha=group["decay"])
        weight.sub_(weight.grad, alpha=group["lr"])


class DrawsNoise(Heavy):
    def move(self, weight, group):
        weight.sub_(weight.grad + 1e-3 * torch.randn_like(weight), alpha=group["lr"])


class AsksForANumber(Heavy):
    def move(self, weight, group):
        if weight.grad.norm().item() < 1e9:
            super().move(weight, group)


FAULTS = tuple(
    Fault("optimizer", wrong, check, Heavy, raises)
    for wrong, check, raises in (
        (no_optimizer, "built", False),
        (NeedsTheLoss, "built", False),
        (Climbs, "decreases", False),
        (HidesItsVelocity, "state_dict_round_trip", False),
        (CountsSteps, "state_dict_round_trip", False),
        (KeepsASet, "state_dict_round_trip", False),
        (RoundsInLoad, "load", False),
        (OwnRate, "param_groups", False),
        (OwnRate, "learning_rate", False),
        (DecaysAll, "missing_gradients", False),
        (WritesToTheGradient, "gradients_untouched", False),
        (DrawsNoise, "streams", False),
        (AsksForANumber, "meta_device", True),
    )
)
RIGHT = (("optimizer", torch.optim.NAdam), ("optimizer", torch.optim.RMSprop))
