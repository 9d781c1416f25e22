"""Optimisers and learning-rate schedules: torch's own classes, by torch's own names."""

from __future__ import annotations

import difflib
import inspect
from types import ModuleType
from typing import Any

from ebmcore.config.values.signature import Parameter, parameters
from ebmcore.errors import PluginError

# they need a closure, a metric, a function or other schedulers, none of which a config can hold
_UNUSABLE = {
    "LBFGS",
    "ReduceLROnPlateau",
    "SequentialLR",
    "ChainedScheduler",
    "LambdaLR",
    "MultiplicativeLR",
}


def find_optimizer(name: str) -> type[Any]:
    """Return a class of torch.optim. Raises PluginError that lists the choices."""
    import torch

    return _find("optimizer", name, torch.optim, torch.optim.Optimizer)


def find_lr_scheduler(name: str) -> type[Any]:
    """Return a class of torch.optim.lr_scheduler. Raises PluginError that lists the choices."""
    from torch.optim import lr_scheduler

    return _find("learning-rate scheduler", name, lr_scheduler, lr_scheduler.LRScheduler)


def torch_parameters(target: type[Any]) -> tuple[Parameter, ...]:
    """List the keys of an optimiser or a schedule: the parameters that the runner doesn't pass."""
    return parameters(target, skip=("params", "optimizer", "last_epoch"))


def optimizer_names() -> tuple[str, ...]:
    """List the optimisers that a config can name."""
    import torch

    return tuple(_usable(torch.optim, torch.optim.Optimizer))


def lr_scheduler_names() -> tuple[str, ...]:
    """List the schedules that a config can name."""
    from torch.optim import lr_scheduler

    return tuple(_usable(lr_scheduler, lr_scheduler.LRScheduler))


def _usable(module: ModuleType, base: type[Any]) -> dict[str, type[Any]]:
    return {
        name: value
        for name, value in sorted(vars(module).items())
        if inspect.isclass(value)
        and issubclass(value, base)
        and value is not base
        and name not in _UNUSABLE
        and not name.startswith("_")
    }


def _find(what: str, name: str, module: ModuleType, base: type[Any]) -> type[Any]:
    there = _usable(module, base)
    if name in there:
        return there[name]
    near = difflib.get_close_matches(name, there, 2) or [
        n for n in there if n.lower() == name.lower()
    ]
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    raise PluginError(
        f"no {what} {name!r} that a config can use.{hint} There are: {', '.join(there)}."
    )
