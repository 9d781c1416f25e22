"""What a part draws from its generator, written down once, then drawn for it and handed in.

A generator can't enter a compiled graph. A part that is handed one, and whose draws depend on
nothing but shapes, is watched while it runs eagerly; from then on the same draws are made in the
same order before the graph is called, and inside it each call gets the draw that was made for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode

from ebmcore.errors import GraphError

_DRAWS = (torch.rand, torch.randn, torch.randint, torch.randperm)


class Draw(NamedTuple):
    """One call that drew."""

    function: Callable[..., Tensor]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]  # without the generator
    of: Generator

    def again(self, generator: Generator) -> Tensor:
        """Draw as it did."""
        return self.function(*self.args, generator=generator, **self.kwargs)


class Watching(TorchFunctionMode):
    """Writes down each draw from a generator while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[Draw] = []
        self.why = ""  # why they can't be made beforehand

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the function; note the call if it draws."""
        rest = dict(kwargs or {})
        generator = rest.pop("generator", None)
        if generator is not None:
            tensors = any(isinstance(value, Tensor) for value in (*args, *rest.values()))
            if func not in _DRAWS or tensors:
                name = getattr(func, "__name__", str(func))
                self.why = f"it draws by {name}, which depends on more than shapes"
            self.draws.append(Draw(func, args, rest, generator))
        return func(*args, **(kwargs or {}))


class HandedIn(TorchFunctionMode):
    """While it is entered, each draw from a generator is the next of `values`."""

    def __init__(self, values: Sequence[Tensor]) -> None:
        super().__init__()
        self.values = values
        self.used = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Hand in a draw, or call the function."""
        if kwargs is not None and kwargs.get("generator") is not None:
            if self.used == len(self.values):
                raise GraphError("it draws more often than when it was watched")
            self.used += 1
            return self.values[self.used - 1]
        return func(*args, **(kwargs or {}))


class StandIn:
    """What a part is handed for a generator in a graph: it knows its device, and draws nothing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device


class Script(NamedTuple):
    """The draws of one part in a step, each from a stream that is looked up by its name."""

    draws: tuple[tuple[Draw, str], ...] = ()

    @classmethod
    def of(cls, watched: Watching, streams: dict[str, Generator]) -> Script:
        """Name the stream of each draw. Raises GraphError when they can't be made beforehand."""
        if watched.why:
            raise GraphError(watched.why)
        names = {id(generator): name for name, generator in streams.items()}
        if any(id(draw.of) not in names for draw in watched.draws):
            raise GraphError("it draws from a generator of its own")
        return cls(tuple((draw, names[id(draw.of)]) for draw in watched.draws))

    def read(self, stream: Callable[[str], Generator]) -> list[Tensor]:
        """Make the draws of one step."""
        return [draw.again(stream(name)) for draw, name in self.draws]
