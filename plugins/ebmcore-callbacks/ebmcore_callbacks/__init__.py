"""Callbacks for ebmcore: early stopping, a file that stops a run, notification of its end.

Imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_callbacks.early_stopping import EarlyStopping as EarlyStopping
    from ebmcore_callbacks.notify import Notify as Notify
    from ebmcore_callbacks.stop_file import StopFile as StopFile

_HOME = {"EarlyStopping": "early_stopping", "Notify": "notify", "StopFile": "stop_file"}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin imports little."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
