"""Copies of parts for measurements and monitors, so that what a part remembers stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def borrowed(part: Any) -> Iterator[Any]:
    """Yield a copy of a part; what the copy shares with it is put back at the end."""
    with state_kept(part):
        yield copied(part)


@contextmanager
def state_kept(part: Any) -> Iterator[None]:
    """Put back the state that a part offers by `state_dict`, if the part can't be copied whole."""
    offers_state = hasattr(part, "state_dict") and hasattr(part, "load_state_dict")
    state = None if _copies(part) or not offers_state else copy.deepcopy(part.state_dict())
    try:
        yield
    finally:
        if state is not None:
            part.load_state_dict(state)


def _copies(part: Any) -> bool:
    try:
        copy.deepcopy(part)
    except Exception:  # a class may refuse with any error
        return False
    return True


def copied(part: Any) -> Any:
    """Return a copy of a part that shares with it only attributes that can't be copied."""
    try:
        return copy.deepcopy(part)
    except Exception:  # a class may refuse with any error
        pass
    try:
        new = copy.copy(part)
        attributes = vars(part).items()
    except Exception:  # as above
        return part
    for name, value in attributes:
        with suppress(Exception):  # as above
            setattr(new, name, copy.deepcopy(value))
    return new
