"""Step sizes that a run fits: a scalar tensor, changed in place between training steps.

The runner begins at half of `Kernel.step_for(ℓ)`, ℓ the data's local spread, and every ten training
steps moves the value to half of `Kernel.step_for(√(T/κ))`, κ the curvature along the chains, or, if
the kernel accepts and rejects, towards its `target_acceptance` α*:

    log η ← log η + α - α*
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ebmcore.sampling.local_spread import local_spread, whole_spread

MARGIN = 0.5  # of the largest step with which chains can be so narrow
RISE = 1.1  # the most that a step size grows by at once; it falls as far as it must
UNFITTED = (
    "step_size: auto is fitted to data in a run; here there are none, so give a number for it"
)


class StepSize:
    """The step size of a sampler that a run fits, the same for all chains.

    A kernel that takes `step_size: auto` holds one in place of the number, and computes with
    `value_of(self.step_size)`, a scalar tensor. It changes between training steps, never within a
    run of the kernel, so that each run is one of a kernel with a fixed step. Checkpoints hold it;
    monitors, samples after the run and `evaluate` use it as it is.

    Args:
        first: The first value; None: a run fits it to its data.
    """

    def __init__(self, first: float | None = None) -> None:
        self.auto = first is None
        self.fitted = first is not None
        start = math.nan if first is None else first
        # a parameter, since a compiled graph takes one in place, whatever its value
        self.value = nn.Parameter(torch.tensor(start), requires_grad=False)  # ()
        self.most = start

    def start(self, kernel: Any, x: Tensor, device: torch.device) -> None:
        """Begin at the step that suits the data's local spread; x (n, *event).

        Raises ValueError when the kernel has no `step_for`.
        """
        if self.auto:
            first, most = (1.0, 1.0) if x.is_meta else _for_data(kernel, x)
            self.value, self.most = nn.Parameter(torch.tensor(first), requires_grad=False), most
            self.fitted = True
        self.place(device)

    def place(self, device: torch.device) -> None:
        """Move the value to a device."""
        self.value = nn.Parameter(self.value.data.to(device), requires_grad=False)

    def towards(self, wanted: Tensor) -> None:
        """Move to the value wanted, up by 10 % at most; one that isn't finite changes nothing."""
        bounded = torch.minimum(wanted.to(self.value), RISE * self.value).clamp(max=self.most)
        ok = bounded.isfinite() & (bounded > 0)
        self.value.data.copy_(torch.where(ok, bounded, self.value))

    def scale(self, factor: float) -> None:
        """Multiply the value, and the most that it may become."""
        self.value.data.mul_(factor)
        self.most *= factor

    def __float__(self) -> float:
        """Return the value, from the device."""
        return float(self.value)

    def state_dict(self) -> dict[str, Any]:
        """Return the value and its upper bound."""
        return {"value": self.value.data, "most": self.most}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.value.data.copy_(state["value"])
        self.most, self.fitted = float(state["most"]), True


def _for_data(kernel: Any, x: Tensor) -> tuple[float, float]:
    """Return the first value for data, and the most that it may become."""
    first = kernel.step_for(local_spread(x))
    most = kernel.step_for(whole_spread(x))
    if first is None or most is None:
        raise ValueError(
            f"{type(kernel).__name__} has no `step_for`, so its step_size can't be auto"
        )
    adjusted = getattr(kernel, "target_acceptance", None) is not None  # stable at any step
    return MARGIN * float(first), (4 if adjusted else MARGIN) * float(most)


def value_of(step_size: float | StepSize) -> float | Tensor:
    """Return a number as it is, or the scalar tensor of a `StepSize`.

    Raises ValueError for one that no run has fitted.
    """
    if not isinstance(step_size, StepSize):
        return step_size
    if not step_size.fitted:
        raise ValueError(UNFITTED)
    return step_size.value


def root(value: float | Tensor) -> float | Tensor:
    """Return the square root of a number or a tensor."""
    return value.sqrt() if isinstance(value, Tensor) else math.sqrt(value)
