"""Raises where Python would wait for an accelerator; it needs none, only the CPU or `meta`.

A GPU computes behind Python's back, until Python asks for a value or copies one over: then both
stand still. `no_host_sync` finds these places in code that runs on another device:

    with no_host_sync("cpu"):
        kernel.step(energy, state, noise)

It sees a value that is read (`.item()`, `float`, `bool`, an `if`, `.tolist()`, `.cpu()`,
`.numpy()`), a shape that depends on values (`nonzero`, `unique`, a mask as index), and Python
numbers that are copied to the device (`torch.tensor(…, device=…)`, `new_tensor`, a list as index).
A kernel that declares why it `waits` may do so in `ebmcore.any_left`; `waits` is passed on here.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ebmcore import any_left
from ebmcore_testing.failures import CheckFailed

_READS = frozenset({
    "item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__float__", "__int__", "__index__",
    "__complex__", "__contains__", "__format__", "__repr__",
})  # fmt: skip
_VALUES = frozenset({  # operators that read values or give as many rows as the values say
    "_local_scalar_dense", "allclose", "nonzero", "nonzero_numpy", "masked_select", "equal",
    "unique_dim", "unique_consecutive", "_unique", "_unique2", "bincount", "repeat_interleave",
    "multinomial", "histc", "_linalg_eigh",
})  # fmt: skip
_CHECKED = frozenset({"linalg_inv", "linalg_cholesky", "linalg_solve", "cholesky"})
_INDEXED = frozenset({"index", "index_put", "index_put_", "_index_put_impl_"})
_MAKERS = frozenset({"tensor", "as_tensor", "asarray"})
_COPIES = frozenset({"_to_copy", "copy_", "copy"})


class HostSync(RuntimeError):  # noqa: N818 (the event's name)
    """Python would have waited for the accelerator."""


@contextmanager
def no_host_sync(device: str, waits: str = "") -> Iterator[None]:
    """Raise HostSync where code would wait for the tensors of `device`, `cpu` or `meta`.

    With `cpu` every tensor counts as the accelerator's; with `meta` those of the CPU don't, and a
    copy between both is found, too. A copy with `non_blocking=True` is allowed, and with a reason,
    `waits`, what `ebmcore.any_left` reads.
    """
    with _Functions(device, bool(waits)), _Operators(device, bool(waits)):
        yield


@contextmanager
def require_no_sync(check: str, device: str = "cpu", waits: str = "") -> Iterator[None]:
    """Raise CheckFailed where code would wait for the tensors of `device`; see `no_host_sync`."""
    try:
        with no_host_sync(device, waits):
            yield
    except HostSync as error:
        raise CheckFailed(
            check,
            expected="a step that never waits for an accelerator",
            measured=f"{error} ({_where(error)})",
            allowed="none, or ebmcore.any_left in a kernel whose `waits` says why; where it must "
            "be elsewhere, expected_failures names this check and the reason",
            cause=".item(), float(), an `if` on a tensor, a mask as index, or Python's numbers "
            "made into a tensor in the step and not in the constructor",
        ) from error


class _Functions(TorchFunctionMode):
    """Sees what Python calls, before torch does anything."""

    def __init__(self, device: str, declared: bool) -> None:
        super().__init__()
        self.device, self.declared = device, declared

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        ours = bool(args) and _is_on(args[0], self.device)
        if name in _READS and ours and not (self.declared and _in_any_left()):
            raise HostSync(f"Tensor.{name} reads a value")
        if name in _CHECKED and ours:
            raise HostSync(f"{resolve_name(func) or name} reads whether it failed; use {name}_ex")
        if name in _MAKERS and _is_made_on(self.device, args, kwargs):
            raise HostSync(f"torch.{name} copies Python's numbers there; use torch.full")
        if name == "new_tensor" and ours:
            raise HostSync("Tensor.new_tensor copies Python's numbers there; use new_full")
        if name in ("__getitem__", "__setitem__") and ours and _has_list(args[1]):
            raise HostSync("an index that is a list is copied there; use a tensor or a slice")
        return func(*args, **kwargs)


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's own
    """Sees the operators that torch calls by itself."""

    def __init__(self, device: str, declared: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's own
        self.device, self.declared = device, declared

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        reads = name in _VALUES and any(_is_on(part, self.device) for part in tree_leaves(args))
        if reads and not (self.declared and _in_any_left()):
            raise HostSync(f"{func} reads values")
        if name in _INDEXED and _is_on(args[0], self.device):
            if _has_mask(name, args):
                raise HostSync(f"{func} with a mask counts its rows; use torch.where")
            if any(part is not None and not _is_on(part, self.device) for part in args[1]):
                raise HostSync(f"{func} copies its index there")
        if name in _COPIES and self.device != "cpu" and not _non_blocking(name, args, kwargs):
            source = args[1] if name != "_to_copy" else args[0]
            there = args[0].device if name != "_to_copy" else kwargs.get("device") or source.device
            if source.device.type != torch.device(there).type and source.numel():
                raise HostSync(f"{func} copies from {source.device} to {there}")
        return func(*args, **kwargs)


def _in_any_left() -> bool:
    frame: Any = sys._getframe()
    while frame is not None and frame.f_code is not any_left.__code__:
        frame = frame.f_back
    return frame is not None


def _where(error: BaseException) -> str:
    """Return the innermost line that isn't of this file or of torch."""
    places = traceback.extract_tb(error.__traceback__)
    own = [p for p in places if p.filename != __file__ and "/torch/" not in p.filename]
    return f"{own[-1].filename}:{own[-1].lineno}, in {own[-1].name}" if own else "unknown place"


def _is_on(part: Any, device: str) -> bool:
    return isinstance(part, Tensor) and part.device.type == device


def _is_made_on(device: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    numbers = bool(args) and not isinstance(args[0], Tensor)
    there = kwargs.get("device")
    return numbers and there is not None and torch.device(there).type == device


def _has_list(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, list) for part in parts)


def _has_mask(name: str, args: tuple[Any, ...]) -> bool:
    masks = [part for part in args[1] if part is not None and part.dtype == torch.bool]
    # one number is filled in without counting
    return bool(masks) and not (name != "index" and args[2].numel() == 1)


def _non_blocking(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    return bool(kwargs.get("non_blocking", name == "copy_" and len(args) > 2 and args[2]))
