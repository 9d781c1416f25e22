"""Refuse redirects of a tracking server to another host, which nobody named.

`requests`, MLflow's HTTP library, follows a redirect anywhere, and sends the new host its
credentials in `.netrc`, the `default` entry as well. Inside `refused`, in that thread alone, a
redirect leads to the same host or raises an error.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from ebmcore.trackers.mlflow.trusted_destinations import typed
from ebmcore.trackers.mlflow.uris import DestinationError, origin

if TYPE_CHECKING:
    from requests import Response, Session

_entered: ContextVar[bool] = ContextVar("ebmcore_redirects_refused", default=False)
_installing = threading.Lock()
_MARK = "_ebmcore_guarded"


@contextmanager
def refused() -> Iterator[None]:
    """Refuse redirects of this thread's HTTP calls to another host, or from https to http."""
    _install()
    token = _entered.set(True)
    try:
        yield
    finally:
        _entered.reset(token)


def _install() -> None:
    """Install the check where requests computes a redirect's target; inactive outside `refused`."""
    from requests import Session

    with _installing:
        follow: Any = Session.get_redirect_target
        if getattr(follow, _MARK, False):
            return

        def checked(self: Session, resp: Response) -> str | None:
            target: str | None = follow(self, resp)
            if target is not None and _entered.get():
                _check(resp.url, urljoin(resp.url, target))
            return target

        setattr(checked, _MARK, True)
        Session.get_redirect_target = checked  # type: ignore[method-assign,assignment]


def _check(here: str, there: str) -> None:
    one = origin(here)
    try:
        two = origin(there)
    except ValueError:
        two = ("", "", None)
    upgrade = (("http", one[1], 80), ("https", one[1], 443))
    if one != two and (one, two) != upgrade:
        raise DestinationError(
            f"{_shown(one)} redirects to {_shown(two)}, which you haven't named; "
            "if that is yours, set MLFLOW_TRACKING_URI to it"
        )


def _shown(place: tuple[str, str, int | None]) -> str:
    scheme, host, port = place
    return typed(f"{scheme}://{host}:{port}") if host else "an address that is none"
