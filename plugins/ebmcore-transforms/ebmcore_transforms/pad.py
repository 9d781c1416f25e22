"""A margin of one value around the last dimensions of an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from ebmcore import PositiveInt, Space, Transform


class Pad(Transform):
    """A margin of one value around the last dimensions of an event, such as 28 × 28 to 32 × 32.

    An odd margin has its larger part at the end. The inverse cuts it off. It has no log |det|: the
    model's density is one of more numbers than the data have.

    Args:
        to: The sizes of the last dimensions afterwards, such as [32, 32].
        value: The value of the margin.
    """

    spaces = (Space,)
    check_params = {"to": [7, 8]}  # noqa: RUF012 (a declaration, which nothing writes to)
    check_event_shapes = ((4, 5), (2, 6, 6))

    def __init__(self, *, to: list[PositiveInt], value: float = 0.0) -> None:
        if not to:
            raise ValueError("`to` should have at least one size")
        self.to = tuple(to)
        self.value = value
        self.sizes: tuple[int, ...] = self.to  # of these dimensions before

    def fit(self, x: Tensor, space: Space) -> None:
        """Note the sizes of the last dimensions.

        Raises ValueError when there are too few, one is too large, or the value isn't of the space.
        """
        self.sizes = tuple(x.shape[1:])[-len(self.to) :]
        if len(self.sizes) < len(self.to) or any(
            a > b for a, b in zip(self.sizes, self.to, strict=True)
        ):
            raise ValueError(f"can't pad events of shape {tuple(x.shape[1:])} to {list(self.to)}")
        try:
            space.check(x[:1] * 0 + self.value)
        except ValueError as error:
            raise ValueError(f"value: {error}") from error

    def shape(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape with the sizes that `to` gives."""
        return (*event_shape[: -len(self.to)], *self.to)

    def space(self, space: Space) -> Space:
        """Return the same space."""
        return space

    def _before(self) -> list[int]:
        return [(new - old) // 2 for old, new in zip(self.sizes, self.to, strict=True)]

    def __call__(self, x: Tensor) -> Tensor:
        """Return x with its margin."""
        margins: list[int] = []
        for before, old, new in zip(self._before(), self.sizes, self.to, strict=True):
            margins = [before, new - old - before, *margins]  # torch counts from the last dimension
        return functional.pad(x, margins, value=self.value)

    def inverse(self, x: Tensor) -> Tensor:
        """Return x' without its margin."""
        for at, (before, old) in enumerate(zip(self._before(), self.sizes, strict=True)):
            x = x.narrow(at - len(self.sizes), before, old)
        return x

    def state_dict(self) -> dict[str, Any]:
        """Return the sizes before."""
        return {"sizes": list(self.sizes)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self.sizes = tuple(int(size) for size in state["sizes"])
