"""An energy for each class, out of one net: E(x, y)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor, nn


def labelled(n: int, event_shape: tuple[int, ...], generator: Generator) -> dict[str, Tensor]:
    """Draw normal events with labels of three classes, for `ebmcore.testing`."""
    x = torch.randn((n, *event_shape), generator=generator)
    return {"x": x, "y": torch.randint(3, (n,), generator=generator)}


class ClassConditional(nn.Module):
    """E(x, y) = f(x)[y], f a net with an output for each class: p(x | y) ∝ exp(-E(x, y)).

    It is conditional: y is required, so a run gives each event its label and each chain one that it
    keeps, and needs data with labels. It says nothing of p(y); for the joint density of events and
    labels, and a classifier, take `classifier`.

    Shapes: x (batch, *event_shape), y (batch,) class numbers from 0 -> (batch,), nats. Raises
    ValueError when the net doesn't return at least two numbers for each event, or y isn't one class
    number for each.

    Args:
        net: The net f, any energy whose key `outputs` is the number of classes.
    """

    check_params: ClassVar[dict[str, object]] = {
        "net": {"type": "mlp", "hidden": [16], "activation": "silu", "outputs": 3}
    }

    check_batch = staticmethod(labelled)

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return E(x, y), (batch, *event_shape) and (batch,) -> (batch,)."""
        return of_class(table(self.net, x), y)


def table(net: nn.Module, x: Tensor) -> Tensor:
    """Return a net's number for each class, (batch, classes). Raises ValueError at a single one."""
    values: Tensor = net(x)
    if values.ndim != 2 or len(values) != len(x) or values.shape[1] < 2:
        raise ValueError(
            f"the net should return a number for each class, shape ({len(x)}, classes); "
            f"got {tuple(values.shape)}. Set its key `outputs`"
        )
    return values


def of_class(values: Tensor, y: Tensor) -> Tensor:
    """Return each event's number of its own class: (batch, classes), (batch,) -> (batch,)."""
    if y.shape != values.shape[:1]:
        raise ValueError(
            f"y should be one class number for each event, shape ({len(values)},); "
            f"got {tuple(y.shape)}"
        )
    return values.gather(1, y.long().unsqueeze(1)).squeeze(1)
