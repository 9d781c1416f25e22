"""The run directory, which is the truth, and its MLflow mirror."""

from ebmcore.tracking.directory import RunDirectory, read_metrics
from ebmcore.tracking.mirror import Mirror, tracking_uri
from ebmcore.tracking.provenance import provenance

__all__ = ["Mirror", "RunDirectory", "provenance", "read_metrics", "tracking_uri"]
