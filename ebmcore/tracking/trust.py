"""Whether MLflow may be spoken to where a run directory says, which anybody may have written."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ebmcore.config.sections import Tracking
from ebmcore.tracking.target import shown, tracking_uri

_CREDENTIALS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_AUTH")
_TABLES = {"alembic_version", "experiments", "metrics", "runs"}


def distrust(uri: str) -> str | None:
    """Say why this place, which a run directory names, isn't spoken to; None when it may be.

    What the user's own settings name is trusted. So is a database that is MLflow's already, and a
    server, unless the user's credentials for another one would go there.
    """
    if uri == tracking_uri(Tracking()):
        return None
    place = shown(uri)
    scheme, _, path = uri.partition("://")
    if scheme in ("http", "https"):
        if any(name in os.environ for name in _CREDENTIALS):
            return f"your MLflow credentials would be sent to {place}; name it by --uri to do so"
        return None
    if scheme == "sqlite" and _is_store(Path(path.removeprefix("/"))):
        return None
    return f"{place} is not your own setting and no MLflow database; name it by --uri to use it"


def _is_store(file: Path) -> bool:
    """Say whether a file is a sqlite database with MLflow's tables; it is not written to."""
    if not file.is_file():
        return False
    try:
        address = f"file:{quote(str(file))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=5)) as database:
            rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {name for (name,) in rows} >= _TABLES
    except sqlite3.Error:
        return False
