"""Langevin samplers for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_langevin.annealed import Annealed as Annealed
    from ebmcore_langevin.annealed import AnnealedState as AnnealedState
    from ebmcore_langevin.kernels import DecayingState as DecayingState
    from ebmcore_langevin.kernels import Langevin as Langevin
    from ebmcore_langevin.kernels import LangevinInfo as LangevinInfo
    from ebmcore_langevin.kernels import LangevinState as LangevinState
    from ebmcore_langevin.mala import MALA as MALA
    from ebmcore_langevin.mala import MALAInfo as MALAInfo
    from ebmcore_langevin.mala import MALAState as MALAState
    from ebmcore_langevin.mala import WarmMALAState as WarmMALAState
    from ebmcore_langevin.svgd import SVGD as SVGD
    from ebmcore_langevin.svgd import SVGDInfo as SVGDInfo
    from ebmcore_langevin.svgd import SVGDState as SVGDState
    from ebmcore_langevin.underdamped import Underdamped as Underdamped
    from ebmcore_langevin.underdamped import UnderdampedInfo as UnderdampedInfo
    from ebmcore_langevin.underdamped import UnderdampedState as UnderdampedState

_HOME = {
    "Annealed": "annealed",
    "AnnealedState": "annealed",
    "MALA": "mala",
    "DecayingState": "kernels",
    "Langevin": "kernels",
    "LangevinInfo": "kernels",
    "LangevinState": "kernels",
    "MALAInfo": "mala",
    "MALAState": "mala",
    "SVGD": "svgd",
    "SVGDInfo": "svgd",
    "SVGDState": "svgd",
    "Underdamped": "underdamped",
    "UnderdampedInfo": "underdamped",
    "UnderdampedState": "underdamped",
    "WarmMALAState": "mala",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
