"""A classifier as an energy of events and labels: the joint energy-based model (JEM)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ebmcore_nets.class_conditional import labelled, of_class, table


class Classifier(nn.Module):
    """The logits f(x) of a net as energies: E(x, y) = -f(x)[y] and E(x) = -log Σ_y exp f(x)[y].

    Both belong to one joint density p(x, y) ∝ exp f(x)[y]: E(x) is its marginal's energy, up to the
    same constant, and p(y | x) = softmax f(x) is the classifier that the net is. So a loss of
    samples, such as `contrastive_divergence`, trains p(x), and `cross_entropy` trains p(y | x).

    y is optional: a run calls E(x), and binds a label where one is asked for (`ebmcore sample RUN
    --y 3`, `view.sample(n, y=3)`, `ebmcore.given(energy, y=y)`), which gives p(x | y).

    Shapes: x (batch, *event_shape), y (batch,) class numbers from 0 -> (batch,), nats. `logits`
    returns (batch, classes). Raises ValueError when the net doesn't return at least two numbers for
    each event, or y isn't one class number for each.
    Source: Grathwohl et al. 2020, "Your classifier is secretly an energy based model and you should
    treat it like one", eq. 5 to 7.

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

    def logits(self, x: Tensor) -> Tensor:
        """Return f(x), (batch, *event_shape) -> (batch, classes); softmax gives p(y | x)."""
        return table(self.net, x)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return E(x), or E(x, y) with labels y, (batch,); -> (batch,)."""
        logits = self.logits(x)
        if y is None:
            return -torch.logsumexp(logits, 1)
        return -of_class(logits, y)
