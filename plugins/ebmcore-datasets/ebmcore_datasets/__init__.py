"""Data: `GaussianMixture`, `Digits` and `File`, loaded when they are first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_datasets.digits import Digits
    from ebmcore_datasets.file import File
    from ebmcore_datasets.gaussian_mixture import GaussianMixture

__all__ = ["Digits", "File", "GaussianMixture"]

_HOME = {"Digits": "digits", "File": "file", "GaussianMixture": "gaussian_mixture"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
