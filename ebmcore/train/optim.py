"""Optimisers without torch's compiler: what only steers `torch.compile` is left out.

torch wraps `Optimizer.step` and four more methods so that its compiler leaves them alone, and each
wrapper imports that compiler, which takes as long as importing torch itself. A run that compiles
nothing has no use for it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Optimizer
from torch.utils import flop_counter

_WRAPPED = (
    *((Optimizer, name) for name in ("add_param_group", "zero_grad", "state_dict")),
    (Optimizer, "load_state_dict"),
    (getattr(flop_counter, "_FlopCounterMode", None), "__torch_dispatch__"),
)
_MARK = "__dynamo_disable"  # where torch's wrapper keeps what it calls, once it has imported it


def bare_step(optimizer: Optimizer) -> Callable[[], Any]:
    """Return the step of one of torch's own optimisers without its wrappers, another's as it is.

    Hooks that were registered with the optimiser are called all the same.
    """
    patched = vars(optimizer).get("step")
    by_schedule = patched is None or getattr(patched, "_wrapped_by_lr_sched", False)
    differentiable = any(group.get("differentiable") for group in optimizer.param_groups)
    own = type(optimizer).__module__.startswith("torch.optim.")
    if not own or not by_schedule or differentiable:
        return optimizer.step
    bare: Callable[[Any], Any] = inspect.unwrap(type(optimizer).step)

    def step() -> None:
        if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
            optimizer.step()
            return
        with torch.no_grad():
            bare(optimizer)
        optimizer._opt_called = True  # type: ignore[attr-defined] # what torch's schedules look at

    return step


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let optimisers be made, saved and loaded, and operations counted, without the compiler."""
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
