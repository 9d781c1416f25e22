"""The runner: it composes parts into an experiment and trains it."""

from ebmcore.runner.api import Prepared, changes, load, prepare, resume, run
from ebmcore.runner.compose import compose
from ebmcore.runner.evaluation import Evaluation, evaluate
from ebmcore.runner.experiment import Experiment
from ebmcore.runner.result import Run

__all__ = [
    "Evaluation",
    "Experiment",
    "Prepared",
    "Run",
    "changes",
    "compose",
    "evaluate",
    "load",
    "prepare",
    "resume",
    "run",
]
