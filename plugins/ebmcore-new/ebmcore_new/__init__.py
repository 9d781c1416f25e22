"""Begin with ebmcore: a commented config for your own data, and the examples."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_new.installed import Example as Example
    from ebmcore_new.installed import all_examples as all_examples
    from ebmcore_new.write import config_for as config_for

_HOME = {"Example": "installed", "all_examples": "installed", "config_for": "write"}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
