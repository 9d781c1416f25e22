"""The restricted Boltzmann machine, by its free energy.

    E(v) = -bᵀv - Σⱼ softplus(cⱼ + Wⱼᵀv),    exp(-E(v)) = Σ_h exp(bᵀv + cᵀh + vᵀWh)

The hidden bits h are summed out. Given one layer, the bits of the other are independent:

    P(hⱼ = 1 | v) = sigmoid(cⱼ + Wⱼᵀv),    P(vᵢ = 1 | h) = sigmoid(bᵢ + Wᵢh)

Source: Smolensky 1986; Hinton 2002, "Training products of experts by minimizing contrastive
divergence"; the free energy as in Hinton 2012, "A practical guide to training restricted Boltzmann
machines", section 16.1.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from ebmcore import Binary, NonNegativeFloat, PositiveInt
from ebmcore_discrete.enumeration import all_events, log_sum


class RBM(nn.Module):
    """A restricted Boltzmann machine: E(v) = -bᵀv - Σⱼ softplus(cⱼ + Wⱼᵀv).

    Its events are binary, of any shape, which it flattens. `log_z` is exact as long as the smaller
    layer has at most 20 bits. `hidden_logits` and `visible_logits` are the conditionals that
    `block_gibbs` draws from.

    Shapes: v (batch, *event) -> (batch,), in nats. Raises ValueError for events of another shape.
    Source: Hinton 2002 and 2012.

    Args:
        hidden: How many hidden bits there are.
        scale: Standard deviation of the initial weights; the biases begin at 0.
        event_shape: (runtime) The shape of one event.
    """

    spaces: ClassVar = (Binary,)
    check_params: ClassVar = {"hidden": 4, "scale": 0.5}

    def __init__(
        self,
        hidden: PositiveInt = 64,
        *,
        scale: NonNegativeFloat = 0.01,
        event_shape: tuple[int, ...],
    ) -> None:
        super().__init__()
        if hidden < 1:
            raise ValueError(f"hidden should be at least 1; got {hidden}")
        self.event_shape = tuple(event_shape)
        visible = math.prod(self.event_shape)
        self.weight = nn.Parameter(scale * torch.randn(hidden, visible))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, v: Tensor) -> Tensor:
        """Return the free energy, (batch, *event) -> (batch,), in nats."""
        return -v.flatten(1) @ self.visible_bias - softplus(self.hidden_logits(v)).sum(1)

    def hidden_logits(self, v: Tensor) -> Tensor:
        """Return the log odds of each hidden bit given v, (batch, *event) -> (batch, hidden)."""
        if tuple(v.shape[1:]) != self.event_shape:
            raise ValueError(
                f"events should have shape {self.event_shape}; got {tuple(v.shape[1:])}"
            )
        return linear(v.flatten(1), self.weight, self.hidden_bias)

    def visible_logits(self, h: Tensor) -> Tensor:
        """Return the log odds of each visible bit given h, (batch, hidden) -> (batch, *event)."""
        logits = linear(h, self.weight.T, self.visible_bias)
        return logits.reshape(len(h), *self.event_shape)

    def log_z(self) -> Tensor:
        """Return log Σ_v exp(-E(v)), (), float64, by enumerating the smaller layer's states.

        It has the graph of the parameters. Raises ValueError when both layers have more than 20
        bits, whose states are too many to enumerate.
        """
        weight = self.weight.double()
        biases = [self.visible_bias.double(), self.hidden_bias.double()]
        if weight.shape[1] > weight.shape[0]:  # the hidden layer is the smaller one
            weight, biases = weight.T, biases[::-1]
        own, other = biases
        states = all_events(2, (len(own),), own, "log_z")
        return log_sum(lambda h: -h @ own - softplus(linear(h, weight, other)).sum(1), states)
