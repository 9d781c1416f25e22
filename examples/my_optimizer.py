"""An optimizer of your own, in a file that needs no installation.

ebmcore run examples/five_gaussians.yaml -p examples/my_optimizer.py "optimizer={type: Lion, lr: 3e-4}" train.epochs=20
"""  # noqa: E501 (a command is one line)

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ebmcore import NonNegativeFloat, PositiveFloat, Probability, optimizer


@optimizer
class Lion(Optimizer):
    """w ← w - lr (sign(β₁ m + (1 - β₁) ∇) + λ w), then m ← β₂ m + (1 - β₂) ∇.

    Every weight moves by lr, so take a third to a tenth of Adam's. Source: Chen et al. 2023,
    Symbolic Discovery of Optimization Algorithms, arXiv:2302.06675, algorithm 2.

    Args:
        lr: The step of each weight.
        beta1: β₁, the share of the momentum in a step.
        beta2: β₂, the share of the momentum that is kept.
        weight_decay: λ.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: PositiveFloat = 1e-4,
        beta1: Probability = 0.9,
        beta2: Probability = 0.99,
        weight_decay: NonNegativeFloat = 0.0,
    ) -> None:
        # what stands here, and in self.state, is what a checkpoint keeps
        defaults = {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move each weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum, beta1, beta2 = state["momentum"], group["beta1"], group["beta2"]
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(momentum.lerp(weight.grad, 1 - beta1).sign(), alpha=group["lr"])
                momentum.lerp_(weight.grad, 1 - beta2)
