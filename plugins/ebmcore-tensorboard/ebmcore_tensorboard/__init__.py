"""A tracker that writes TensorBoard's event files; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_tensorboard.tracker import TensorBoard

__all__ = ["TensorBoard"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovery stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.tracker"), name)
