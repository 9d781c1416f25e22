"""The core's own offers, by the hooks that every plugin uses; no selection leaves them out."""

from __future__ import annotations

import sys

from ebmcore.hooks import hookimpl
from ebmcore.plugins.find import Found
from ebmcore.plugins.select import Loaded
from ebmcore.version import __version__


@hookimpl
def ebmcore_trackers() -> dict[str, str]:
    """Offer MLflow."""
    return {"mlflow": "ebmcore.trackers.mlflow.tracker:MLflow"}


@hookimpl
def ebmcore_optimizers() -> dict[str, str]:
    """Offer torch's optimizers, all but LBFGS; a test compares the list with torch."""
    names = (
        "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax Muon NAdam RAdam RMSprop Rprop SGD "
        "SparseAdam"
    )
    return {name: f"torch.optim:{name}" for name in names.split()}


@hookimpl
def ebmcore_lr_schedulers() -> dict[str, str]:
    """Offer torch's schedules, all but those of functions; a test compares the list with torch."""
    names = (
        "ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR "
        "ExponentialLR LinearLR MultiStepLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR "
        "StepLR"
    )
    return {name: f"torch.optim.lr_scheduler:{name}" for name in names.split()}


CORE = Found("ebmcore", __name__, "ebmcore", __version__)


def core() -> Loaded:
    """Return the core itself as a plugin that was loaded."""
    return Loaded(CORE, module=sys.modules[__name__])
