"""Toy densities of the plane, waves, handwritten digits and data files; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_datasets.checkerboard import Checkerboard
    from ebmcore_datasets.digits import Digits
    from ebmcore_datasets.eight_gaussians import EightGaussians
    from ebmcore_datasets.file import File
    from ebmcore_datasets.gaussian_mixture import GaussianMixture
    from ebmcore_datasets.mnist import Mnist
    from ebmcore_datasets.moons import Moons
    from ebmcore_datasets.pinwheel import Pinwheel
    from ebmcore_datasets.rings import Rings
    from ebmcore_datasets.sines import Sines
    from ebmcore_datasets.two_spirals import TwoSpirals

__all__ = [
    "Checkerboard",
    "Digits",
    "EightGaussians",
    "File",
    "GaussianMixture",
    "Mnist",
    "Moons",
    "Pinwheel",
    "Rings",
    "Sines",
    "TwoSpirals",
]

_HOME = {
    "Checkerboard": "checkerboard",
    "Digits": "digits",
    "EightGaussians": "eight_gaussians",
    "File": "file",
    "GaussianMixture": "gaussian_mixture",
    "Mnist": "mnist",
    "Moons": "moons",
    "Pinwheel": "pinwheel",
    "Rings": "rings",
    "Sines": "sines",
    "TwoSpirals": "two_spirals",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
