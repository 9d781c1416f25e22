"""The activations that a network can be given, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

Activation = Literal["leaky_relu", "silu", "softplus", "elu", "tanh"]

_LAYERS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}
_PIECEWISE_LINEAR = frozenset({"leaky_relu"})


def activation_layer(name: str) -> nn.Module:
    """Make an activation. Raises ValueError that lists what there is."""
    if name not in _LAYERS:
        raise ValueError(f"activation should be one of {', '.join(_LAYERS)}; got {name!r}")
    return _LAYERS[name]()


def is_piecewise_linear(name: str) -> bool:
    """Whether a network of this activation has a Hessian in x that is 0 almost everywhere."""
    return name in _PIECEWISE_LINEAR
