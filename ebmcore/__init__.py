"""ebmcore: train energy-based models out of plugins, from one config, tracked in MLflow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore.contracts import Chains, Energy, Job, Kernel, Launcher, RunView, Sample, Task
    from ebmcore.data import refuse_lost_digits
    from ebmcore.decorators import chains, dataset, energy, launcher, loss, monitor, sampler
    from ebmcore.distributed.whole_batch import whole_batch
    from ebmcore.errors import (
        ComponentError,
        ConfigError,
        DataError,
        DivergenceError,
        EbmError,
        PluginError,
        Problem,
        RunError,
        RunInterrupted,
    )
    from ebmcore.hooks import hookimpl
    from ebmcore.local import open_log
    from ebmcore.plugins import Host
    from ebmcore.runner import (
        Evaluation,
        Experiment,
        Group,
        Run,
        evaluate,
        load,
        resume,
        resume_seeds,
        run,
        run_seeds,
    )
    from ebmcore.sampling import Differentiable, Sampler, Trace, energy_and_score, sample_chain
    from ebmcore.types import (
        NonNegativeFloat,
        NonNegativeInt,
        PositiveFloat,
        PositiveInt,
        Probability,
    )

__version__ = "0.1.0"

_HOME = {
    "contracts": (
        "Chains",
        "Energy",
        "Job",
        "Kernel",
        "Launcher",
        "RunView",
        "Sample",
        "Task",
    ),
    "data": ("refuse_lost_digits",),
    "decorators": ("chains", "dataset", "energy", "launcher", "loss", "monitor", "sampler"),
    "errors": (
        "ComponentError",
        "ConfigError",
        "DataError",
        "DivergenceError",
        "EbmError",
        "PluginError",
        "Problem",
        "RunError",
        "RunInterrupted",
    ),
    "hooks": ("hookimpl",),
    "local": ("open_log",),
    "plugins": ("Host",),
    "runner": (
        "Evaluation",
        "Experiment",
        "Group",
        "Run",
        "evaluate",
        "load",
        "resume",
        "resume_seeds",
        "run",
        "run_seeds",
    ),
    "sampling": ("Differentiable", "Sampler", "Trace", "energy_and_score", "sample_chain"),
    "together": ("whole_batch",),
    "types": (
        "NonNegativeFloat",
        "NonNegativeInt",
        "PositiveFloat",
        "PositiveInt",
        "Probability",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Chains",
    "ComponentError",
    "ConfigError",
    "DataError",
    "Differentiable",
    "DivergenceError",
    "EbmError",
    "Energy",
    "Evaluation",
    "Experiment",
    "Group",
    "Host",
    "Job",
    "Kernel",
    "Launcher",
    "NonNegativeFloat",
    "NonNegativeInt",
    "PluginError",
    "PositiveFloat",
    "PositiveInt",
    "Probability",
    "Problem",
    "Run",
    "RunError",
    "RunInterrupted",
    "RunView",
    "Sample",
    "Sampler",
    "Task",
    "Trace",
    "chains",
    "dataset",
    "energy",
    "energy_and_score",
    "evaluate",
    "hookimpl",
    "launcher",
    "load",
    "loss",
    "monitor",
    "open_log",
    "refuse_lost_digits",
    "resume",
    "resume_seeds",
    "run",
    "run_seeds",
    "sample_chain",
    "sampler",
    "whole_batch",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562), so that light uses stay light."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'ebmcore' has no attribute {name!r}")
    value = getattr(import_module(f"ebmcore.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
