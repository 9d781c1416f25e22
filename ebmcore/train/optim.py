"""Steps of torch's optimisers: its fused kernels, and no compiler where none is used.

A fused optimiser updates all parameters in one kernel, with the same numbers but for rounding. Adam
on six parameters of 17,000 numbers in all took 1.5 ms, compiled 0.7 to 0.9 ms after some ten
seconds, and fused 0.3 ms.

torch wraps `Optimizer.step` and four more methods so that its compiler leaves them alone. Each
wrapper imports that compiler, which takes as long as the import of torch itself, so a run that
compiles nothing skips the wrappers.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer
from torch.utils import flop_counter

from ebmcore.errors import EbmError

_WRAPPED = (
    *((Optimizer, name) for name in ("add_param_group", "zero_grad", "state_dict")),
    (Optimizer, "load_state_dict"),
    (getattr(flop_counter, "_FlopCounterMode", None), "__torch_dispatch__"),
)
_MARK = "__dynamo_disable"  # attribute in which torch's wrapper caches the function to call

_FUSED: dict[type[Optimizer], tuple[str, ...]] = {  # on which devices
    Adam: ("cpu", "cuda", "mps"),
    AdamW: ("cpu", "cuda", "mps"),
    SGD: ("cpu", "cuda", "mps"),
    Adagrad: ("cpu",),
}
_OTHERWISE = ("foreach", "capturable", "differentiable")  # options that exclude fused kernels


def fuse(optimizer: Optimizer) -> str:
    """Switch an optimiser to its fused kernel; return why it can't, or an empty text."""
    devices = _FUSED.get(type(optimizer))
    name = type(optimizer).__name__
    if devices is None:
        return f"torch has no fused kernel of {name}"
    for group in optimizer.param_groups:
        chosen = [key for key in _OTHERWISE if group.get(key)]
        if chosen or group.get("fused") is False:
            return f"{chosen[0] if chosen else 'fused: false'} is set"
        if isinstance(group["lr"], torch.Tensor):
            return "its learning rate is a tensor"
        if not all(p.is_floating_point() and p.device.type in devices for p in group["params"]):
            return f"torch has no fused kernel of {name} for these parameters"
    for group in optimizer.param_groups:
        group["fused"] = True
    return ""


def unwrapped_step(optimizer: Optimizer) -> Callable[[], Any]:
    """Return the `step` of one of torch's optimisers without its wrappers, another's as it is.

    An optimiser's registered hooks are still called.
    """
    patched = vars(optimizer).get("step")
    by_schedule = patched is None or getattr(patched, "_wrapped_by_lr_sched", False)
    differentiable = any(group.get("differentiable") for group in optimizer.param_groups)
    own = type(optimizer).__module__.startswith("torch.optim.")
    if not own or not by_schedule or differentiable:
        return optimizer.step
    unwrapped: Callable[[Any], Any] = inspect.unwrap(type(optimizer).step)

    def step() -> None:
        if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
            optimizer.step()
            return
        with torch.no_grad():
            unwrapped(optimizer)
        optimizer._opt_called = True  # type: ignore[attr-defined] # torch's schedulers check it

    return step


def load_state(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Restore an optimiser's state in the dtypes that it had; torch casts it to the weights'."""
    optimizer.load_state_dict(dict(saved))
    weights = (p for group in optimizer.param_groups for p in group["params"])
    numbers = (number for group in saved["param_groups"] for number in group["params"])
    for weight, number in zip(weights, numbers, strict=True):
        held = optimizer.state.get(weight, {})
        for name, value in saved["state"].get(number, {}).items():
            if isinstance(value, Tensor) and value.dtype != held[name].dtype:
                held[name] = value.to(held[name].device)


def load_schedule(scheduler: Any, state: Any) -> None:
    """Restore the state of a scheduler that a checkpoint kept."""
    scheduler.load_state_dict(_typed(scheduler, state))


def _typed(scheduler: Any, state: Any) -> dict[str, Any]:
    """Restore the Counters in the state of a scheduler and of its inner schedulers."""
    if not isinstance(state, dict):
        raise EbmError("the checkpoint holds no state of a scheduler")
    counters = {k for k, v in getattr(scheduler, "__dict__", {}).items() if isinstance(v, Counter)}
    typed = {k: Counter(v) if k in counters else v for k, v in state.items()}
    inner = getattr(scheduler, "_schedulers", ())
    if inner and "_schedulers" in state:  # another's attribute may mean anything
        pairs = zip(inner, state["_schedulers"], strict=True)
        typed["_schedulers"] = [_typed(one, its) for one, its in pairs]
    return typed


@contextmanager
def without_compiler() -> Iterator[None]:
    """Make, save and load optimisers and count operations without importing the compiler."""
    marked = []
    if "torch._dynamo" not in sys.modules:
        for owner, name in _WRAPPED:
            function = getattr(getattr(owner, name, None), "__wrapped__", None)
            if function is not None and not hasattr(function, _MARK):
                setattr(function, _MARK, function)
                marked.append(function)
    try:
        yield
    finally:
        for function in marked:
            delattr(function, _MARK)
