"""The gradient of the last training step, block by block."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from ebmcore import PositiveInt, RunView


class Gradients:
    """Norms of the gradient that the optimiser last used: of all parameters and of each block.

    - `norm`: ‖g‖₂ over all parameters, and `norm/<block>` over those of one block.
    - `ratio`, `ratio/<block>`: ‖g‖₂ / ‖θ‖₂, the gradient's norm over that of the weights (the
      averaged ones, when the run keeps an average).
    - `non_finite`: how many elements of the gradient are NaN or infinite; 0 in a healthy run.

    A block is the first part of a parameter's name, the child module that contains it:
    `layers.0.weight` is in `layers`, and with `depth: 2` in `layers.0`. The gradient is that of the
    energy's parameters after `train.clip_grad_norm`; the norm before it is `train/grad_norm`. Norms
    that are not finite are left out, and counted by `non_finite`. Before the first training step
    the monitor returns no numbers.

    Args:
        depth: How many parts of a parameter's name make its block.
    """

    every = "1 epoch"
    metrics: ClassVar = ("non_finite", "norm", "norm/*", "ratio", "ratio/*")
    takes_mask = True  # it looks at no event

    def __init__(self, *, depth: PositiveInt = 1) -> None:
        self.depth = depth

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return the norms, their ratios to the weights', and the count."""
        gradients = view.gradients
        if not gradients:
            return {}
        numbers = {"non_finite": float(sum(int((~g.isfinite()).sum()) for g in gradients.values()))}
        weights = _parameters(view.energy)
        numbers |= _norms(gradients, weights, "")
        blocks: dict[str, dict[str, Tensor]] = {}
        for name, gradient in gradients.items():
            block = ".".join(name.split(".")[: self.depth])
            blocks.setdefault(block, {})[name] = gradient
        for block, members in blocks.items():
            numbers |= _norms(members, weights, f"/{block}")
        return numbers


def _norms(
    gradients: Mapping[str, Tensor], weights: Mapping[str, Tensor], suffix: str
) -> dict[str, float]:
    numbers: dict[str, float] = {}
    norm = _norm(gradients.values())
    if math.isfinite(norm):
        numbers[f"norm{suffix}"] = norm
    if all(name in weights for name in gradients):
        size = _norm(weights[name] for name in gradients)
        ratio = norm / size if size > 0 else math.nan
        if math.isfinite(ratio):
            numbers[f"ratio{suffix}"] = ratio
    return numbers


@torch.no_grad()
def _norm(tensors: Any) -> float:
    squares = [tensor.detach().double().square().sum().cpu() for tensor in tensors]
    return math.sqrt(float(torch.stack(squares).sum()))


def _parameters(energy: Any) -> dict[str, Tensor]:
    return dict(energy.named_parameters()) if hasattr(energy, "named_parameters") else {}
