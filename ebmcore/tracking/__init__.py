"""The run directory, which is the truth, and its MLflow mirror."""

from ebmcore.tracking.directory import RunDirectory, read_metrics, sync
from ebmcore.tracking.mirror import Mirror, flatten, tracking_uri
from ebmcore.tracking.provenance import changes_since, provenance

__all__ = [
    "Mirror",
    "RunDirectory",
    "changes_since",
    "flatten",
    "provenance",
    "read_metrics",
    "sync",
    "tracking_uri",
]
