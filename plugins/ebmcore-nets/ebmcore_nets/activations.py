"""The activations of the networks, by name."""

from __future__ import annotations

import difflib
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
    """Make an activation. Raises ValueError when it is unknown."""
    _refuse_unknown(name)
    return _LAYERS[name]()


def is_piecewise_linear(name: str) -> bool:
    """Return whether this activation makes a network's Hessian in x 0 almost everywhere.

    Raises ValueError when it is unknown.
    """
    _refuse_unknown(name)
    return name in _PIECEWISE_LINEAR


def _refuse_unknown(name: object) -> None:
    """Raise a ValueError that lists the activations and suggests a similar name."""
    if isinstance(name, str) and name in _LAYERS:
        return
    near = difflib.get_close_matches(str(name).lower(), _LAYERS, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"activation should be one of {', '.join(_LAYERS)}, by name; got {name!r}{hint}"
    )
