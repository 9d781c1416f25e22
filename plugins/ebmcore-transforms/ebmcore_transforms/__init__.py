"""Transforms of data for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_transforms.augment import Augment as Augment
    from ebmcore_transforms.dequantise import Dequantise as Dequantise
    from ebmcore_transforms.logit import Logit as Logit
    from ebmcore_transforms.one_hot import OneHot as OneHot
    from ebmcore_transforms.pad import Pad as Pad
    from ebmcore_transforms.rank_gaussian import RankGaussian as RankGaussian
    from ebmcore_transforms.scaling import MinMax as MinMax
    from ebmcore_transforms.scaling import RobustScale as RobustScale
    from ebmcore_transforms.scaling import Standardise as Standardise
    from ebmcore_transforms.whiten import Whiten as Whiten

_HOME = {
    "Augment": "augment",
    "Dequantise": "dequantise",
    "Logit": "logit",
    "MinMax": "scaling",
    "OneHot": "one_hot",
    "Pad": "pad",
    "RankGaussian": "rank_gaussian",
    "RobustScale": "scaling",
    "Standardise": "scaling",
    "Whiten": "whiten",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
