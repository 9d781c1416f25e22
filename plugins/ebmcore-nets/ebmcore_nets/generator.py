"""A generator: a multi-layer perceptron from Gaussian numbers to an event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from ebmcore import PositiveInt
from ebmcore_nets.activations import Activation, activation_layer
from ebmcore_nets.layers import positive, refuse_empty


class MLPGenerator(nn.Module):
    """g(z) = c + s (W_L a(W_{L-1} … a(W_1 z + b_1) … ) + b_L), as an event; z ~ N(0, I).

    c is the middle of the data's range and s half its width, element by element. The initial
    weights keep the variance from layer to layer (He et al. 2015), so that the first samples
    spread over the whole range, and chains that start there meet every mode.

    Its samples g(z) are cheap and have no density that could be computed. Chains that start there
    (`chains: proposed`) and the loss `cooperative` train it beside an energy.

    Shapes: z (batch, latent) -> (batch, *event_shape). Calls with other latents raise ValueError.

    Args:
        latent: Numbers in z.
        hidden: Width of each hidden layer; [] makes g linear, and its samples Gaussian.
        activation: Activation between the layers; leaky_relu has slope 0.2 below 0.
        event_shape: (runtime) Shape of one event.
        data_range: (runtime) The lowest and the highest value of the data, (2, *event_shape); None
            takes c = 0 and s = 1.
    """

    centre: Tensor  # (numbers in an event,)
    scale: Tensor  # the same

    def __init__(
        self,
        event_shape: tuple[int, ...],
        data_range: Tensor | None = None,
        *,
        latent: PositiveInt = 16,
        hidden: Sequence[PositiveInt] = (128, 128),
        activation: Activation = "silu",
    ) -> None:
        super().__init__()
        self.event_shape = refuse_empty(event_shape)
        (self.latent,) = positive("latent", [latent])
        widths = (latent, *positive("hidden", hidden), math.prod(self.event_shape))
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers.append(nn.Linear(inputs, outputs))
            layers.append(activation_layer(activation))
        self.layers = nn.Sequential(*layers[:-1])
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            gain = 1.0 if layer is linear[-1] else math.sqrt(2)
            nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)
        like = linear[0].weight
        ends = torch.tensor([-1.0, 1.0]) if data_range is None else data_range
        low, high = ends.to(like).reshape(2, -1)
        self.register_buffer("centre", ((low + high) / 2).expand(widths[-1]).clone())
        self.register_buffer("scale", ((high - low) / 2).expand(widths[-1]).clone())

    def forward(self, z: Tensor) -> Tensor:
        """Return the event of each z, (batch, latent) -> (batch, *event_shape)."""
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ValueError(f"takes z of shape (batch, {self.latent}); got {tuple(z.shape)}")
        events: Tensor = self.centre + self.scale * self.layers(z)
        return events.reshape(z.shape[0], *self.event_shape)

    def latents(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n times z ~ N(0, I), (n, latent), on the device and in the dtype of the weights."""
        like = next(self.parameters())
        shape = (n, self.latent)
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n events, (n, *event_shape)."""
        events: Tensor = self(self.latents(n, generator))
        return events
