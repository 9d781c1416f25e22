"""Trackers: they follow a run directory and show it elsewhere; no run waits for them.

The names below are for plugins that record runs of their own.
"""

from ebmcore.trackers.entry import Trackers, TrackingArgument, as_trackers
from ebmcore.trackers.files import pictures
from ebmcore.trackers.flatten import flatten
from ebmcore.trackers.followers import Followers, first_record
from ebmcore.trackers.keys import mlflow_keys, other_trackers, with_mlflow_keys
from ebmcore.trackers.mlflow.client import fit_name
from ebmcore.trackers.mlflow.target import Target, tracking_uri
from ebmcore.trackers.mlflow.tracker import MLflow
from ebmcore.trackers.mlflow.trusted_destinations import distrust, typed, with_password
from ebmcore.trackers.mlflow.uris import DestinationError, same_place
from ebmcore.trackers.sync_run import sync
from ebmcore.trackers.tags import tracked_run

__all__ = [
    "DestinationError",
    "Followers",
    "MLflow",
    "Target",
    "Trackers",
    "TrackingArgument",
    "as_trackers",
    "distrust",
    "first_record",
    "fit_name",
    "flatten",
    "mlflow_keys",
    "other_trackers",
    "pictures",
    "same_place",
    "sync",
    "tracked_run",
    "tracking_uri",
    "typed",
    "with_mlflow_keys",
    "with_password",
]
