"""The run directory, which is the truth, and its MLflow mirror."""

from ebmcore.tracking.account import Account, read_account
from ebmcore.tracking.children import (
    announce,
    by_key,
    child_folders,
    family,
    is_parent,
    read_children,
    recorded_parent,
    told_parent,
)
from ebmcore.tracking.destination.uris import DestinationError, same_place
from ebmcore.tracking.directory import (
    RunDirectory,
    read_metrics,
    refuse_links,
    runs_folder,
    to_disk,
)
from ebmcore.tracking.lock import RunLock, is_held
from ebmcore.tracking.mirror import Mirror
from ebmcore.tracking.parent import Parent
from ebmcore.tracking.provenance import changes_since, provenance
from ebmcore.tracking.sender import flatten
from ebmcore.tracking.sync import Synced, sync
from ebmcore.tracking.tags import run_tags
from ebmcore.tracking.target import recorded_target, tracking_uri
from ebmcore.tracking.trust import distrust

__all__ = [
    "Account",
    "DestinationError",
    "Mirror",
    "Parent",
    "RunDirectory",
    "RunLock",
    "Synced",
    "announce",
    "by_key",
    "changes_since",
    "child_folders",
    "distrust",
    "family",
    "flatten",
    "is_held",
    "is_parent",
    "provenance",
    "read_account",
    "read_children",
    "read_metrics",
    "recorded_parent",
    "recorded_target",
    "refuse_links",
    "run_tags",
    "runs_folder",
    "same_place",
    "sync",
    "to_disk",
    "told_parent",
    "tracking_uri",
]
