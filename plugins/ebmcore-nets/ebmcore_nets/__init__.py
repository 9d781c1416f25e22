"""Energies that are networks or made of one, and a generator; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_nets.class_conditional import ClassConditional as ClassConditional
    from ebmcore_nets.classifier import Classifier as Classifier
    from ebmcore_nets.conv import Conv as Conv
    from ebmcore_nets.generator import MLPGenerator as MLPGenerator
    from ebmcore_nets.kernel_density import KernelDensity as KernelDensity
    from ebmcore_nets.mlp import MLP as MLP
    from ebmcore_nets.noise_conditional import NoiseConditional as NoiseConditional
    from ebmcore_nets.resnet import ResNet as ResNet

_HOME = {
    "ClassConditional": "class_conditional",
    "Classifier": "classifier",
    "Conv": "conv",
    "KernelDensity": "kernel_density",
    "MLP": "mlp",
    "MLPGenerator": "generator",
    "NoiseConditional": "noise_conditional",
    "ResNet": "resnet",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
