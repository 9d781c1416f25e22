"""The conformance kit, under the name that tests of plugins import.

The distribution `ebmcore-testing` holds it, in the package `ebmcore_testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_testing import *  # noqa: F403

try:
    _KIT = import_module("ebmcore_testing")
except ModuleNotFoundError as error:
    if error.name != "ebmcore_testing":
        raise
    raise ImportError(
        "ebmcore.testing needs ebmcore-testing, which isn't installed. "
        "Install it with: pip install ebmcore-testing",
        name=error.name,
    ) from None

__all__ = list(_KIT.__all__)


def __getattr__(name: str) -> Any:
    """Import a public name of the kit when it is first asked for, so that this stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_KIT, name)
