"""The MLflow that a run may call: the user's own places, and nothing that a file alone names.

A run directory, a sweep database or a config found in a run directory may come from anybody.
ebmcore uses a place in it if the user names that now (MLFLOW_TRACKING_URI, `--uri`, the config on
the command line; sqlite:///mlflow.db of the current folder if nothing is set), or if this user's
own installation recorded it, which its seal shows.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from ebmcore.config.sections import Tracking
from ebmcore.masking import is_masked, mask, without_password
from ebmcore.trackers.mlflow.target import Target, tracking_uri
from ebmcore.trackers.mlflow.uris import DestinationError, same_place


def distrust(uri: str, named: Iterable[str] = ()) -> str | None:
    """Explain why ebmcore doesn't call a place that a file names; None when the user names it now.

    `named` are the places that the user named besides those of the environment.
    """
    if _named(uri, named) is not None:
        return None
    place = typed(uri)
    return (
        f"{place} is named by the directory alone, and it isn't known that you recorded it; "
        f"if you trust it, set MLFLOW_TRACKING_URI={place}"
    )


def destination(target: Target, named: Iterable[str] = ()) -> str:
    """Return the URI for a target in a run.json, with its password.

    Raises DestinationError, which says what to type, when neither the user names the place nor this
    user's installation recorded it, or when its password was masked and isn't given now.
    """
    mine = _named(target.uri, named)
    if mine is not None:
        return with_password(mine)
    if target.is_ours:
        return with_password(target.uri)
    raise DestinationError(distrust(target.uri, named) or "")


def with_password(uri: str) -> str:
    """Return a URI with its password. Raises DestinationError when that is masked and unknown.

    MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or a token, replace a masked one.
    """
    if not is_masked(uri):
        return uri
    own = _own()
    if own is not None and not is_masked(own) and same_place(uri, own):
        return own
    bare, told = without_password(uri), os.environ.get
    known = told("MLFLOW_TRACKING_USERNAME") and told("MLFLOW_TRACKING_PASSWORD")
    is_web = bare.startswith(("http://", "https://"))
    if is_web and uri.count("***") == 1 and (known or told("MLFLOW_TRACKING_TOKEN")):
        return bare
    way = " (or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)" if is_web else ""
    raise DestinationError(
        f"the password of {typed(uri)} is not kept in files; set MLFLOW_TRACKING_URI to that "
        f"address with its password{way}"
    )


def typed(uri: str) -> str:
    """Return a URI in a form that is safe to show and to type in a shell, even a stranger's."""
    return shlex.quote("".join(c if c.isprintable() else "?" for c in mask(uri)))


def _named(uri: str, named: Iterable[str]) -> str | None:
    """Return the user's own URI of a place, None when the user names another one."""
    places = [*named, *filter(None, (_own(),))]
    return next((place for place in places if same_place(uri, place)), None)


def _own() -> str | None:
    try:
        return tracking_uri(Tracking())
    except DestinationError:
        return None
