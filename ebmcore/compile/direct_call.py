"""A compiled graph that is called by itself, without the interpreter hook that found it.

torch.compile replaces a function's frame at each call, which costs some 0.2 ms and more: a tenth of
a training step of a small energy. What the trace assumed is asked here just as there.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from torch import Tensor, nn


class Link:
    """What a traced function's call comes to: which tensors go in, and where those go that come.

    Args:
        function: It was traced once, by a call with `args`.
        args: What it was called with.
        inputs: What the graph was then given, in order.
        outputs: What the graph then gave.
        result: What the function returned.
        inner: The compiled graph.

    Raises LookupError when the call is more than the graph: an input that is neither a weight nor
    among the arguments, a result that the graph didn't give.
    """

    def __init__(
        self,
        function: FunctionType,
        args: tuple[Any, ...],
        inputs: tuple[Any, ...],
        outputs: tuple[Any, ...],
        result: Any,
        inner: Callable[..., Any],
    ) -> None:
        from torch._dynamo.eval_frame import _debug_get_cache_entry_list

        entries = _debug_get_cache_entry_list(function.__code__)
        if len(entries) != 1:
            raise LookupError("the function was traced more than once")
        self.holds: Callable[[dict[str, Any]], bool] = entries[0].guard_manager.check
        code = function.__code__
        self.names = code.co_varnames[: code.co_argcount]
        cells = function.__closure__ or ()
        self.around = {
            name: cell.cell_contents for name, cell in zip(code.co_freevars, cells, strict=True)
        }
        self.inner = inner
        given = {id(leaf): index for index, leaf in enumerate(leaves(args))}
        self.fixed = list(inputs)
        self.moving: list[tuple[int, int]] = []  # place among the inputs, place among the leaves
        for place, value in enumerate(inputs):
            if id(value) in given:
                self.moving.append((place, given[id(value)]))
                self.fixed[place] = None
            elif not isinstance(value, nn.Parameter):
                raise LookupError("an input that is neither an argument nor a weight")
        self.rebuild = _rebuilder(result, {id(value): i for i, value in enumerate(outputs)})

    def __call__(self, args: tuple[Any, ...]) -> Any:
        """Return what the function returns, or None when what was assumed no longer holds."""
        if not self.holds({**self.around, **dict(zip(self.names, args, strict=True))}):
            return None
        inputs, found = self.fixed.copy(), leaves(args)
        for place, leaf in self.moving:
            inputs[place] = found[leaf]
        return self.rebuild(self.inner(*inputs))


def leaves(nested: Any) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dicts, in order."""
    found: list[Tensor] = []
    _gather(nested, found)
    return found


def _gather(nested: Any, found: list[Tensor]) -> None:
    if isinstance(nested, Tensor):
        found.append(nested)
    elif isinstance(nested, tuple | list):
        for part in nested:
            _gather(part, found)
    elif isinstance(nested, dict):
        for part in nested.values():
            _gather(part, found)


def _rebuilder(result: Any, places: dict[int, int]) -> Callable[[Any], Any]:
    """Return what makes such a result of a graph's outputs."""
    if result is None:
        return lambda outputs: None
    if isinstance(result, Tensor):
        if id(result) not in places:
            raise LookupError("a result that the graph didn't give")
        place = places[id(result)]
        return lambda outputs: outputs[place]
    if isinstance(result, dict):
        named = [(key, _rebuilder(part, places)) for key, part in result.items()]
        return lambda outputs: {key: make(outputs) for key, make in named}
    if isinstance(result, tuple | list):
        makes = [_rebuilder(part, places) for part in result]
        kind: Any = type(result)
        if hasattr(kind, "_make"):
            return lambda outputs: kind._make([make(outputs) for make in makes])
        return lambda outputs: kind([make(outputs) for make in makes])
    raise LookupError(f"a result of type {type(result).__name__}")
