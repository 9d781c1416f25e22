"""The run directory, which is the truth, and its MLflow mirror."""

from ebmcore.runs.inside import Inside
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
    check_plain,
    read_metrics,
    read_recorded,
    runs_folder,
)
from ebmcore.tracking.facts import read_facts
from ebmcore.tracking.files import pictures
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
    "Inside",
    "Mirror",
    "Parent",
    "RunDirectory",
    "RunLock",
    "Synced",
    "announce",
    "by_key",
    "changes_since",
    "check_plain",
    "child_folders",
    "distrust",
    "family",
    "flatten",
    "is_held",
    "is_parent",
    "pictures",
    "provenance",
    "read_account",
    "read_children",
    "read_facts",
    "read_metrics",
    "read_recorded",
    "recorded_parent",
    "recorded_target",
    "run_tags",
    "runs_folder",
    "same_place",
    "sync",
    "told_parent",
    "tracking_uri",
]
