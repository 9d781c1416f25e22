"""The runner: it composes parts into an experiment and trains it."""

from ebmcore.runner.api import Prepared, changes, load, prepare, resume, run
from ebmcore.runner.compose import compose
from ebmcore.runner.evaluation import Evaluation, evaluate
from ebmcore.runner.experiment import Experiment
from ebmcore.runner.group import Group
from ebmcore.runner.run import Run
from ebmcore.runner.seeds import resume_seeds, run_seeds

__all__ = [
    "Evaluation",
    "Experiment",
    "Group",
    "Prepared",
    "Run",
    "changes",
    "compose",
    "evaluate",
    "load",
    "prepare",
    "resume",
    "resume_seeds",
    "run",
    "run_seeds",
]
