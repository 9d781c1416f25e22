"""Parameters that are components themselves: recognised by their type, written as nodes.

    def __init__(self, terms: list[Energy], *, weights: list[float]): ...

takes `terms: [{type: mlp}, {type: gaussian}]` in a config, and each entry may be a reference, such
as `"@teacher"`, to a node of the section `parts` or to a main node (`"@energy"`).
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from typing import Any, NamedTuple

from ebmcore.contracts import Chains, Kernel, Transform
from ebmcore.run_contracts import RunView

_BASES = {  # base classes, by name, so that torch isn't imported
    "torch.nn.modules.module.Module": "energy",
    "torch.optim.lr_scheduler.LRScheduler": "lr_scheduler",
}


class Nested(NamedTuple):
    """The kind of component that a parameter takes, and whether it takes a list of them."""

    kind: str
    many: bool = False
    or_one: bool = False  # whether a single node stands for a list of one


def nested(annotation: Any) -> Nested | None:
    """Return the kind that a type means: an energy, a sampler, chains, a schedule, a transform.

    A function of tensors alone is an energy, one without parameters a dataset, and one of a
    `RunView` a monitor.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return nested(arguments[0])
    if origin in (typing.Union, types.UnionType):
        found = [nested(a) for a in arguments if a is not type(None)]
        if len(found) == 2 and found[0] is not None and found[1] is not None:  # X | list[X]
            one, other = sorted((found[0], found[1]), key=lambda kind: kind.many)
            if one.kind == other.kind and other.many and not one.many:
                return other._replace(or_one=True)
        return found[0] if len(found) == 1 else None
    if origin in (list, tuple, collections.abc.Sequence) and arguments:
        inner = nested(arguments[0])
        return None if inner is None or inner.many else Nested(inner.kind, many=True)
    if origin is collections.abc.Callable:
        if arguments and arguments[0] == []:
            return Nested("dataset")
        if arguments and arguments[0] == [RunView]:
            return Nested("monitor")
        takes_tensors = bool(arguments) and all(map(_is_tensor, _flat(arguments)))
        return Nested("energy") if takes_tensors else None
    if not inspect.isclass(annotation):
        return None
    if issubclass(annotation, Kernel):
        return Nested("sampler")
    if issubclass(annotation, Chains):
        return Nested("chains")
    if issubclass(annotation, Transform):
        return Nested("transform")
    names = (f"{base.__module__}.{base.__name__}" for base in annotation.__mro__)
    kind = next((_BASES[name] for name in names if name in _BASES), None)
    return None if kind is None else Nested(kind)


def _flat(arguments: tuple[Any, ...]) -> list[Any]:
    taken, given = arguments
    return [*(taken if isinstance(taken, list) else [taken]), given]


def _is_tensor(annotation: Any) -> bool:
    name = getattr(annotation, "__forward_arg__", getattr(annotation, "__name__", annotation))
    return bool(name == "Tensor")
