"""Where a run is sent: which places are trusted, and what may be opened and written there."""

from ebmcore.tracking.destination.uris import (
    DestinationError,
    is_sqlite,
    origin,
    same_place,
    sqlite_file,
    whole_uri,
)

__all__ = [
    "DestinationError",
    "is_sqlite",
    "origin",
    "same_place",
    "sqlite_file",
    "whole_uri",
]
