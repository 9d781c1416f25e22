"""A classifier as an energy of events and labels: the joint energy-based model (JEM)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ebmcore import PositiveFloat
from ebmcore_nets.class_conditional import labelled, of_class, table


class Classifier(nn.Module):
    """The numbers f(x) of a net as energies: E(x, y) = -f(x)[y], E(x) = -τ log Σ_y exp(f(x)[y]/τ).

    Both belong to one joint density p(x, y) ∝ exp(-E(x, y)/τ): E(x) is its marginal's energy, up to
    the same constant, and p(y | x) = softmax(f(x)/τ) is the classifier that the net is. So a loss
    of samples, such as `contrastive_divergence`, trains p(x), and `cross_entropy` p(y | x).

    The temperature τ sets how sure the classifier is beside the density: a sampler at a temperature
    far below 1 holds f to small differences, at which softmax f(x) is too unsure of the labels.

    y is optional: a run calls E(x), and binds a label where one is asked for (`ebmcore sample RUN
    --y 3`, `view.sample(n, y=3)`, `ebmcore.given(energy, y=y)`), which gives p(x | y).

    Shapes: x (batch, *event_shape), y (batch,) class numbers from 0 -> (batch,), nats. `logits`
    returns (batch, classes). Raises ValueError when the net doesn't return at least two numbers for
    each event, or y isn't one class number for each.
    Source: Grathwohl et al. 2020, "Your classifier is secretly an energy based model and you should
    treat it like one", eq. 5 to 7, where τ = 1.

    Args:
        net: The net f, any energy whose key `outputs` is the number of classes.
        temperature: τ; with a sampler at the temperature τ, p(x) and p(y | x) are of one density.
    """

    check_params: ClassVar[dict[str, object]] = {
        "net": {"type": "mlp", "hidden": [16], "activation": "silu", "outputs": 3}
    }

    check_batch = staticmethod(labelled)

    def __init__(self, net: nn.Module, *, temperature: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.net = net
        self.temperature = temperature

    def logits(self, x: Tensor) -> Tensor:
        """Return f(x)/τ, (batch, *event_shape) -> (batch, classes); softmax gives p(y | x)."""
        values = table(self.net, x)
        return values if self.temperature == 1 else values / self.temperature

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return E(x), or E(x, y) with labels y, (batch,); -> (batch,)."""
        logits = self.logits(x)
        energy = -torch.logsumexp(logits, 1) if y is None else -of_class(logits, y)
        return energy if self.temperature == 1 else self.temperature * energy
