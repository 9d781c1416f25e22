"""Records a part's calls to its generator once, and replays them outside of a compiled graph.

A generator can't enter a compiled graph. The recorder notes the calls of a part that runs eagerly
and draws by shapes alone. Later steps draw the same tensors in the same order before they call the
graph, and each call inside returns its tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode

from ebmcore.errors import GraphError

_DRAWS = (torch.rand, torch.randn, torch.randint, torch.randperm)


class RngCall(NamedTuple):
    """A recorded call that drew from a generator."""

    function: Callable[..., Tensor]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]  # without the generator
    generator: Generator

    def repeat(self, generator: Generator) -> Tensor:
        """Draw again, from the generator given."""
        return self.function(*self.args, generator=generator, **self.kwargs)


class RngRecorder(TorchFunctionMode):
    """Records each draw from a generator inside this context."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[RngCall] = []
        self.why = ""  # why the calls can't be replayed

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the function, and record the call if it draws."""
        rest = dict(kwargs or {})
        generator = rest.pop("generator", None)
        if generator is not None:
            tensors = any(isinstance(value, Tensor) for value in (*args, *rest.values()))
            if func not in _DRAWS or tensors:
                name = getattr(func, "__name__", str(func))
                self.why = f"it draws by {name}, which depends on more than shapes"
            self.calls.append(RngCall(func, args, rest, generator))
        return func(*args, **(kwargs or {}))


class RngReplay(TorchFunctionMode):
    """Inside this context each draw from a generator returns the next of `values`."""

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
        """Return the next value for a draw, or call the function."""
        if kwargs is not None and kwargs.get("generator") is not None:
            if self.used == len(self.values):
                raise GraphError("it draws more often than in the recorded step")
            self.used += 1
            return self.values[self.used - 1]
        return func(*args, **(kwargs or {}))


class PlaceholderGenerator:
    """Replaces a generator in a graph: it has a device and draws nothing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device


class RngScript(NamedTuple):
    """The recorded calls of one part in a step, each with the name of its stream."""

    calls: tuple[tuple[RngCall, str], ...] = ()

    @classmethod
    def of(cls, recorder: RngRecorder, streams: dict[str, Generator]) -> RngScript:
        """Name the stream of each call. Raises GraphError when the calls can't be replayed."""
        if recorder.why:
            raise GraphError(recorder.why)
        names = {id(generator): name for name, generator in streams.items()}
        if any(id(call.generator) not in names for call in recorder.calls):
            raise GraphError("it draws from a generator of its own")
        return cls(tuple((call, names[id(call.generator)]) for call in recorder.calls))

    def draw(self, stream: Callable[[str], Generator]) -> list[Tensor]:
        """Draw the tensors of one step."""
        return [call.repeat(stream(name)) for call, name in self.calls]
