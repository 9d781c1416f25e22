"""Tracking URIs: the file of a URI, and whether two URIs name the same place.

This module opens no file and looks up no host. It refuses a sqlite URI that SQLAlchemy would read
as another file than it seems to name, so that the checked file is the opened one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from ebmcore.errors import EbmError
from ebmcore.masking import mask, without_password

_SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///([^?]+)(?:\?(.*))?", re.DOTALL)
_SETTINGS = {"timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"}
_NETLOC = re.compile(r"(?:[^@\\\s]*@)?(?:[\w.\-]*|\[[0-9A-Fa-f:.]+\])(?::\d+)?")
_WORDS = {"databricks", "databricks-uc", "uc"}  # words that MLflow accepts as places
_PORTS = {"http": 80, "https": 443}


class DestinationError(EbmError):
    """A destination is forbidden or unusable; the message says what to type instead."""


def is_sqlite(uri: str) -> bool:
    """Tell whether this is a sqlite file rather than a server."""
    return uri.partition(":")[0].partition("+")[0].strip().lower() == "sqlite"


def is_web(uri: str) -> bool:
    """Tell whether this is an HTTP server."""
    return urlsplit(uri).scheme.lower() in _PORTS


def sqlite_file(uri: str) -> Path:
    """Return the file that a sqlite URI names, with its whole path.

    Raises DestinationError when SQLAlchemy would open another one.
    """
    found = _SQLITE.fullmatch(uri)
    if found is None or any(not c.isprintable() for c in uri):
        raise DestinationError(f"{mask(uri)!r}: should be sqlite:///FILE")
    name, settings = found[1], found[2] or ""
    odd = sorted({key for key, _ in parse_qsl(settings, keep_blank_values=True)} - _SETTINGS)
    if odd or (settings and "=" not in settings):
        raise DestinationError(
            f"{mask(uri)!r}: leave out its setting {', '.join(odd) or settings}, which may name "
            "another file"
        )
    path = str(Path(name).absolute())
    if "%" in path or "?" in path:
        from sqlalchemy.engine import make_url

        if (opened := make_url(f"sqlite:///{path}").database) != path:
            raise DestinationError(
                f"{path!r}: SQLAlchemy would open {opened!r} in its place; put MLflow's database "
                "into a folder with no % or ? in its path, and name it by MLFLOW_TRACKING_URI"
            )
    return Path(path)


def whole_uri(uri: str) -> str:
    """Return the same place with a file named by its whole path.

    MLflow keeps the file of a relative path open. Raises DestinationError as `sqlite_file`.
    """
    if is_sqlite(uri):
        settings = uri.partition("?")[2]
        return f"sqlite:///{sqlite_file(uri)}" + (f"?{settings}" if settings else "")
    if ":" not in uri and uri not in _WORDS:  # a folder, as MLflow accepts one
        return Path(uri).absolute().as_uri()
    return uri


def same_place(found: str, named: str) -> bool:
    """Tell whether a URI in a file is the place that the user names.

    Ignores users, passwords and tokens in both. Follows no link in the path of a sqlite file that
    only the file names, since only the user may name links.
    """
    if found == named:
        return True
    try:
        if is_sqlite(found) and is_sqlite(named):
            there, mine = os.path.normpath(sqlite_file(found)), sqlite_file(named)
            return there in (os.path.normpath(mine), os.path.realpath(mine))
        return _comparable(found) == _comparable(named)
    except (DestinationError, ValueError):
        return False


def origin(uri: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URI.

    Raises ValueError when they are missing, or programs disagree on which is its host.
    """
    parts = urlsplit(uri)
    if not uri.isprintable() or _NETLOC.fullmatch(parts.netloc) is None:
        raise ValueError(f"{uri!r} names no host")
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme)


def _comparable(uri: str) -> tuple[tuple[str, str, int | None], str]:
    bare = without_password(whole_uri(uri))
    parts = urlsplit(bare)
    return origin(bare), parts._replace(scheme="", netloc="").geturl().rstrip("/")
