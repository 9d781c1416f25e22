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


CORE = Found("ebmcore", __name__, "ebmcore", __version__)


def core() -> Loaded:
    """Return the core itself as a plugin that was loaded."""
    return Loaded(CORE, module=sys.modules[__name__])
