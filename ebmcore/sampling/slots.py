"""Calls of `Kernel.init` and `Chains.start` with the slots that their signatures name."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.contracts import CHAINS_SLOTS, KERNEL_SLOTS, Carried, Chains, Energy, Start
from ebmcore.errors import PluginError


class _NothingIsDrawn:
    """In the place of a generator: torch refuses to draw from it."""


_BESIDE = {"init": 2, "start": 1}  # the leading arguments, which have any name


def init_state(
    kernel: Any,
    energy: Energy,
    x: Tensor,
    *,
    generator: Generator | None = None,
    n_steps: int = 1,
    carried: Carried | None = None,
) -> Any:
    """Call `kernel.init` with the slots that it names; without `carried` all chains begin anew.

    With a `carried` whose `fresh` is None, it draws nothing, so that a step of another kernel may
    call it; TypeError tells of one that draws all the same.
    """
    named = named_slots(type(kernel), "init", KERNEL_SLOTS)
    if carried is not None and carried.fresh is None:
        generator = _NothingIsDrawn()  # type: ignore[assignment] # so that a draw fails
    if carried is None and "carried" in named:
        carried = carried_by(Start(x))
    slots = {"generator": generator, "n_steps": n_steps, "carried": carried}
    return kernel.init(energy, x, **{name: slots[name] for name in named})


def start_chains(
    chains: Chains,
    x: Tensor,
    *,
    generator: Generator | None = None,
    y: Tensor | None = None,
    mask: Tensor | None = None,
    space: Any = None,
) -> Start:
    """Call `chains.start` with the slots that it names.

    Chains that have no y or no mask of their own get those of the batch, row by row.
    """
    slots = {"generator": generator, "y": y, "mask": mask, "space": space}
    named = named_slots(type(chains), "start", CHAINS_SLOTS)
    begin = chains.start(x, **{name: slots[name] for name in named})
    if not isinstance(begin, Start):
        return Start(begin, y, mask=mask)
    return begin._replace(
        y=y if begin.y is None else begin.y, mask=mask if begin.mask is None else begin.mask
    )


def keep_ends(chains: Chains, end: Start) -> None:
    """Call `chains.keep`. Raises PluginError when it takes the `Start` for a tensor."""
    try:
        chains.keep(end)
    except (AttributeError, TypeError) as error:
        if "Start" not in str(error):
            raise
        raise PluginError(
            f"`{type(chains).__name__}.keep` takes a tensor and gets a `Start`; take the ends of "
            f"the chains from its field `x`: def keep(self, end): … end.x … ({error})"
        ) from error


def kept_by(chains: Chains) -> Start | None:
    """Call `chains.kept`. Raises PluginError when it returns neither a `Start` nor None."""
    kept: Any = chains.kept()
    if kept is None or isinstance(kept, Start):
        return kept
    raise PluginError(
        f"`{type(chains).__name__}.kept` returns a {type(kept).__name__}; return a `Start` of the "
        "chains, ebmcore.Start(x), or None when there are none"
    )


def carried_by(start: Start) -> Carried:
    """Return what chains carry from where they begin."""
    fresh = start.fresh
    if fresh is None:
        fresh = torch.full(start.x.shape[:1], not start.carried, device=start.x.device)
    return Carried(start.carried, fresh)


def takes_carried(kernel: Any) -> bool:
    """Whether a sampler names `carried`."""
    method = "sample" if hasattr(kernel, "sample") else "init"
    return bool(named_slots(type(kernel), method, ("carried",)))


def carried_on(kernel: Any, state: Any) -> dict[str, Tensor]:
    """Return the fields of a kernel's state that its chains carry on.

    Raises ValueError when one is missing, or isn't a tensor with a row for each chain.
    """
    fields: dict[str, Tensor] = {}
    for name in getattr(kernel, "carries", ()):
        value = getattr(state, name, None)
        if not isinstance(value, Tensor) or value.shape[:1] != state.x.shape[:1]:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"the sampler carries {name!r}, so that field of its state should be a tensor "
                f"with a row for each of the {len(state.x)} chains; got {shape}"
            )
        fields[name] = value.detach()
    return fields


def named_slots(kind: type, method: str, slots: tuple[str, ...]) -> tuple[str, ...]:
    """List the slots that a class's method names."""
    return _named(kind, method, slots)


# as torch.compiler.assume_constant_result marks it, which would import the compiler
named_slots._dynamo_marked_constant = True  # type: ignore[attr-defined]


@lru_cache(maxsize=256)
def _named(kind: type, method: str, slots: tuple[str, ...]) -> tuple[str, ...]:
    function = getattr(kind, method, None)
    parameters = {} if function is None else inspect.signature(function).parameters
    return tuple(name for name in parameters if name in slots)


def refuse_unknown_slots(part: Any, method: str, slots: tuple[str, ...]) -> None:
    """Raise TypeError when a method needs an argument that is neither leading nor a slot."""
    parameters = list(inspect.signature(getattr(part, method)).parameters.values())
    for parameter in parameters[_BESIDE[method] :]:
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.name not in slots and parameter.default is parameter.empty and not variadic:
            raise TypeError(
                f"{type(part).__name__}.{method} asks for {parameter.name!r}, which is no slot; "
                f"slots: {', '.join(slots)}"
            )
