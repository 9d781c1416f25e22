"""A planted fault."""

from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A wrong component, the check that must catch it, and the right component beside it."""

    kind: str
    wrong: Any
    check: str
    right: Any
    raises: bool = False  # whether the fault itself ends in an exception
