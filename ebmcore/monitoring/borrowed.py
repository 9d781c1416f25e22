"""Copies of parts for monitors, so that what a part remembers doesn't change with them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def borrowed(part: Any) -> Iterator[Any]:
    """Yield a copy of a part.

    Some attributes can't be copied, such as a lock. The copy then shares them with the part, which
    gets back, at the end, the state that its `state_dict` returned before.
    """
    try:
        whole = copy.deepcopy(part)
    except Exception:  # a class may refuse with any error
        offers_state = hasattr(part, "state_dict") and hasattr(part, "load_state_dict")
        state = copy.deepcopy(part.state_dict()) if offers_state else None
        try:
            yield copied(part)
        finally:
            if state is not None:
                part.load_state_dict(state)
    else:
        yield whole


def copied(part: Any) -> Any:
    """Return a copy of a part that shares only the attributes that can't be copied."""
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
