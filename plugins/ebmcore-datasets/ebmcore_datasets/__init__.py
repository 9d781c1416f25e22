"""Toy densities of the plane, waves, handwritten digits and data files; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_datasets.checkerboard import Checkerboard as Checkerboard
    from ebmcore_datasets.digits import BinaryDigits as BinaryDigits
    from ebmcore_datasets.digits import Digits as Digits
    from ebmcore_datasets.eight_gaussians import EightGaussians as EightGaussians
    from ebmcore_datasets.file import File as File
    from ebmcore_datasets.gaussian_mixture import GaussianMixture as GaussianMixture
    from ebmcore_datasets.image_files import Images as Images
    from ebmcore_datasets.mnist import Mnist as Mnist
    from ebmcore_datasets.moons import Moons as Moons
    from ebmcore_datasets.pinwheel import Pinwheel as Pinwheel
    from ebmcore_datasets.rings import Rings as Rings
    from ebmcore_datasets.sines import Sines as Sines
    from ebmcore_datasets.time_series.dataset import TimeSeries as TimeSeries
    from ebmcore_datasets.two_spirals import TwoSpirals as TwoSpirals

_HOME = {
    "BinaryDigits": "digits",
    "Checkerboard": "checkerboard",
    "Digits": "digits",
    "EightGaussians": "eight_gaussians",
    "File": "file",
    "GaussianMixture": "gaussian_mixture",
    "Images": "image_files",
    "Mnist": "mnist",
    "Moons": "moons",
    "Pinwheel": "pinwheel",
    "Rings": "rings",
    "Sines": "sines",
    "TimeSeries": "time_series.dataset",
    "TwoSpirals": "two_spirals",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
