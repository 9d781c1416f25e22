"""`@loss`, `@energy`, …: offer a class or a function from a local file as a component.

    from ebmcore import loss

    @loss
    def gap(energy, x, x_neg):
        return energy(x).mean() - energy(x_neg).mean()

The decorator returns the object itself, marked with its kind and name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, overload

T = TypeVar("T", bound=Callable[..., Any])
MARK = "__ebmcore_offer__"


class Offer(NamedTuple):
    """The kind and the name under which a decorated object is offered."""

    kind: str
    name: str


class _Decorator:
    """The decorator of one kind, with or without arguments."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.__doc__ = f"Offer a class or function as {kind}, under its own name or `name`."

    @overload
    def __call__(self, target: T) -> T: ...

    @overload
    def __call__(self, *, name: str | None = None, **attributes: Any) -> Callable[[T], T]: ...

    def __call__(
        self, target: T | None = None, *, name: str | None = None, **attributes: Any
    ) -> T | Callable[[T], T]:
        """Mark `target`; `attributes` such as `order=2` are set on it."""

        def mark(target: T) -> T:
            if not callable(target):
                raise TypeError(f"@{self.kind} takes a class or a function; got {target!r}")
            own = target.__name__ if name is None and hasattr(target, "__name__") else name
            if own is None:
                raise TypeError(f"{target!r} has no name of its own; write {self.kind}(name=…)")
            if MARK in getattr(target, "__dict__", {}):  # not its base class's
                first = getattr(target, MARK)
                raise TypeError(
                    f"{own!r} is offered as {first.kind} {first.name!r} already, and can't be "
                    f"{self.kind} {own!r} too; write a second class or function"
                )
            setattr(target, MARK, Offer(self.kind, own))
            for attribute, value in attributes.items():
                setattr(target, attribute, value)
            return target

        return mark if target is None else mark(target)


energy = _Decorator("energy")
network = _Decorator("network")
sampler = _Decorator("sampler")
chains = _Decorator("chains")
loss = _Decorator("loss")
monitor = _Decorator("monitor")
callback = _Decorator("callback")
dataset = _Decorator("dataset")
optimizer = _Decorator("optimizer")
lr_scheduler = _Decorator("lr_scheduler")
transform = _Decorator("transform")
launcher = _Decorator("launcher")
tracker = _Decorator("tracker")
