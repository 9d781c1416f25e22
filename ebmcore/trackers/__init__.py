"""Trackers: they follow a run directory and show it elsewhere; no run waits for them.

The names below are for plugins that record runs of their own.
"""

from ebmcore.trackers.mlflow.client import fit_name
from ebmcore.trackers.mlflow.files import pictures
from ebmcore.trackers.mlflow.mirror import Mirror, first_record
from ebmcore.trackers.mlflow.tags import run_tags
from ebmcore.trackers.mlflow.target import recorded_target, tracking_uri
from ebmcore.trackers.mlflow.trust import distrust, typed, with_password
from ebmcore.trackers.mlflow.uris import DestinationError, same_place

__all__ = [
    "DestinationError",
    "Mirror",
    "distrust",
    "first_record",
    "fit_name",
    "pictures",
    "recorded_target",
    "run_tags",
    "same_place",
    "tracking_uri",
    "typed",
    "with_password",
]
