"""The runner: it builds an experiment from a config, trains it and records the run.

The names below are for plugins that run configs themselves, as sweeps do.
"""

from ebmcore.runner.api import (
    Prepared,
    changes,
    prepare,
    prepare_again,
    prepare_source,
    resume,
    run,
)
from ebmcore.runner.compose import compose
from ebmcore.runner.run import Run

__all__ = [
    "Prepared",
    "Run",
    "changes",
    "compose",
    "prepare",
    "prepare_again",
    "prepare_source",
    "resume",
    "run",
]
