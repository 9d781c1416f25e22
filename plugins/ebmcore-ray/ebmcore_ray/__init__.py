"""A launcher of Ray tasks; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_ray.launcher import Ray

__all__ = ["Ray"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import Ray."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.launcher"), name)
