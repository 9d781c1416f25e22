"""Categories to bits: a number c becomes k bits, the c-th of them 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ebmcore import Binary, Categorical, PositiveInt, Real, Space, Transform


class OneHot(Transform):
    """c -> (0, …, 1, …, 0): k bits for each whole number 0 … k - 1, the c-th of them 1.

    Shapes: (n, *event) -> (n, *event, k). The inverse is the place of the largest of the k. Of bits
    log |det| is 0: P(x) = P'(x'), and what the model gives to other bits is no event's. Of `real`
    there is none.

    Args:
        k: The number of categories; by default that of the data's space, if it is categorical.
        real: Whether the bits count as points of the reals, for samplers that move there.
    """

    spaces = (Real, Binary, Categorical)
    check_space = Categorical(5)

    def __init__(self, *, k: PositiveInt | None = None, real: bool = False) -> None:
        self.k = k or 0
        self.real = real

    def fit(self, x: Tensor, space: Space) -> None:
        """Take k from the space, if no other is given.

        Raises ValueError when there is none, or x holds other numbers than 0 … k - 1.
        """
        sizes = space.sizes(())
        self.k = self.k or (sizes[0] if sizes else 0)
        if not self.k:
            raise ValueError("say how many categories there are: `k`, or a categorical data.space")
        Categorical(self.k).check(x)

    def shape(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (*event, k)."""
        return (*event_shape, self.k)

    def space(self, space: Space) -> Space:
        """Return the binary space, or the real one."""
        return Real() if self.real else Binary()

    def __call__(self, x: Tensor) -> Tensor:
        """Return the bits, in the type of x."""
        return (x.round()[..., None] == torch.arange(self.k, device=x.device)).to(x.dtype)

    def inverse(self, x: Tensor) -> Tensor:
        """Return the place of the largest of each k, the first of equal ones."""
        return x.argmax(-1).to(x.dtype)

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return 0, (n,). Raises NotImplementedError for `real`."""
        if self.real:
            raise NotImplementedError("one_hot in the reals has no log |det|")
        return x.new_zeros(len(x))

    def state_dict(self) -> dict[str, Any]:
        """Return k."""
        return {"k": self.k}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore it."""
        self.k = int(state["k"])
