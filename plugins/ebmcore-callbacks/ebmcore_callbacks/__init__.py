"""Callbacks for ebmcore: early stopping, a file that stops a run, notification of its end."""

from ebmcore_callbacks.early_stopping import EarlyStopping
from ebmcore_callbacks.notify import Notify
from ebmcore_callbacks.stop_file import StopFile

__all__ = ["EarlyStopping", "Notify", "StopFile"]
