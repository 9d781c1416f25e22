"""The energy and the data that a plugin's author gives to check a component with."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ebmcore.errors import EbmError


def make_energy(given: Any, slots: Mapping[str, Any]) -> nn.Module:
    """Make the energy that `check_energy` describes: a module, which is copied, or makes one."""
    found = copy.deepcopy(given) if isinstance(given, nn.Module) else _call(given, slots, "energy")
    if not isinstance(found, nn.Module):
        raise EbmError(
            "check_energy should be an nn.Module, or a callable that makes one from event_shape; "
            f"it made {found!r:.200}"
        )
    return found


def make_batch(
    given: Any, n: int, shape: tuple[int, ...], generator: Generator, dtype: torch.dtype
) -> dict[str, Any]:
    """Make the batch that `check_batch` describes, by its slots; x and other floats in `dtype`."""
    slots = {"n": n, "event_shape": shape, "generator": generator}
    found = _call(given, slots, "batch")
    if isinstance(found, Tensor):
        found = {"x": found}
    elif isinstance(found, (tuple, list)) and len(found) == 2:
        found = dict(zip("xy", found, strict=True))
    if not isinstance(found, Mapping) or not isinstance(found.get("x"), Tensor):
        raise EbmError(
            "check_batch should return x, (x, y) or a mapping of slots with x, all tensors of n "
            f"rows; got {found!r:.200}"
        )
    return {name: _cast(value, dtype) for name, value in found.items()}


def _cast(value: Any, dtype: torch.dtype) -> Any:
    is_float = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if is_float else value


def _call(given: Callable[..., Any], slots: Mapping[str, Any], kind: str) -> Any:
    """Call with the slots that it names; one parameter of another name takes the first slot."""
    if not callable(given):
        raise EbmError(f"check_{kind} should be callable; got {given!r:.200}")
    parameters = inspect.signature(given).parameters.values()
    named = {p.name: slots[p.name] for p in parameters if p.name in slots}
    needed = [
        p
        for p in parameters
        if p.name not in slots
        and p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if not needed:
        return given(**named)
    if len(needed) == 1 and not named and needed[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        return given(next(iter(slots.values())))
    raise EbmError(
        f"check_{kind} needs {', '.join(p.name for p in needed)}, which the suite doesn't know; "
        f"it gives {', '.join(slots)}. Fix the others with functools.partial."
    )
