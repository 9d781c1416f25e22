"""A multi-layer perceptron as an energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from ebmcore import Categorical, PositiveInt, Space
from ebmcore_nets.activations import Activation, activation_layer, is_piecewise_linear
from ebmcore_nets.layers import positive, readout, refuse_empty, refuse_other_events, weighted


class MLP(nn.Module):
    """Flatten the event, then linear layers with activations between them, to one number.

    E(x) = W_L a(W_{L-1} … a(W_1 flatten(x) + b_1) … ) + b_L, in nats.

    In a categorical space it reads the categories one-hot: x holds whole numbers from 0 to k - 1,
    or is one-hot, (batch, *event_shape, k), in which samplers differentiate it.

    Shapes: x (batch, *event_shape) -> (batch,). Each event's energy depends on that event alone:
    it has no normalisation layer. Infinitely often differentiable in x with `silu`, `softplus`
    and `tanh`; with `leaky_relu`, `piecewise_linear` is true and the Laplacian of E is 0 almost
    everywhere. Calls with events of another shape raise ValueError.

    Args:
        hidden: Width of each hidden layer; [] makes E linear in x.
        activation: Activation between the layers; leaky_relu has slope 0.2 below 0.
        spectral_norm: Divide each weight by its largest singular value (Miyato et al. 2018), which
            bounds the slope of E; the estimate is a buffer that each call in train mode updates.
        outputs: Numbers that the net returns for each event, (batch, outputs) if more than 1; an
            energy has 1, the net of a `classifier` one for each class.
        event_shape: (runtime) Shape of one event.
        space: (runtime) The set that events live in.
    """

    # ebmcore.testing uses these: an activation that is not smooth, and one that is
    check_params: ClassVar[tuple[dict[str, str], ...]] = ({}, {"activation": "silu"})

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        hidden: Sequence[PositiveInt] = (128, 128),
        activation: Activation = "leaky_relu",
        spectral_norm: bool = False,
        outputs: PositiveInt = 1,
        space: Space | None = None,
    ) -> None:
        super().__init__()
        (self.outputs,) = positive("outputs", (outputs,))
        self.event_shape = refuse_empty(event_shape)
        self.piecewise_linear = is_piecewise_linear(activation)
        self.categories = space if isinstance(space, Categorical) else None
        values = 1 if self.categories is None else self.categories.k
        self.features = values * math.prod(self.event_shape)
        widths = (self.features, *positive("hidden", hidden), self.outputs)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers.append(weighted(nn.Linear(inputs, outputs), spectral_norm))
            layers.append(activation_layer(activation))
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, *event_shape) -> (batch,)."""
        if self.categories is None:
            refuse_other_events("mlp", x, self.event_shape)
        else:
            dtype = next(self.parameters()).dtype
            x = self.categories.one_hot(x, self.event_shape, dtype)
        return readout(self.layers(x.reshape(x.shape[0], self.features)), self.outputs)
