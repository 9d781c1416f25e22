"""A figure that is drawn when it is needed: in this process, or, pickled, in another one.

The run that trains then neither imports Matplotlib nor waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawing:
    """Draws a figure at the first use of it; its attributes are the figure's.

    Args:
        draw: A function of a module, which imports no torch: the other process would wait for it.
        given: The function's arguments, arrays rather than tensors for the same reason.
    """

    def __init__(self, draw: Callable[..., Figure], *given: Any) -> None:
        self.draw = draw
        self.given = given

    @cached_property
    def figure(self) -> Figure:
        """The figure."""
        return self.draw(*self.given)

    def savefig(self, *arguments: Any, **options: Any) -> None:
        """Write the figure as `Figure.savefig` does."""
        self.figure.savefig(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.figure, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return Drawing, (self.draw, *self.given)
