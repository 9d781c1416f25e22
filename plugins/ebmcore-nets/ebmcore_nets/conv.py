"""A convolutional network as an energy of images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ebmcore import PositiveInt
from ebmcore_nets.activations import Activation, activation_layer, is_piecewise_linear
from ebmcore_nets.layers import (
    as_images,
    image_shape,
    positive,
    readout,
    refuse_other_events,
    weighted,
)


class Conv(nn.Module):
    """A 3×3 convolution, then 4×4 ones that halve the image, flatten, linear to one number.

    The first has stride 1, the others stride 2, all padding 1; an activation follows each. The
    height H of an image becomes H // 2, H // 4, … and may not fall below 1: 8×8 fits at most
    4 entries of `channels`, 28×28 at most 5. More of them raise ValueError.

    Shapes: x (batch, H, W), which is one channel, or (batch, C, H, W) -> (batch,), nats. Each
    event's energy depends on that event alone: the network has no normalisation layer. Calls with
    events of another shape raise ValueError.

    Args:
        channels: Channels after each convolution; every one but the first halves the image.
        activation: Activation after each convolution; silu is smooth, leaky_relu has slope 0.2
            below 0 and makes the Laplacian of E zero almost everywhere.
        spectral_norm: Divide each weight, as a matrix of one row per output channel, by its largest
            singular value (Miyato et al. 2018); the estimate is a buffer that each call in train
            mode updates.
        channels_last: Keep the channels of a pixel side by side in memory, after the first
            convolution: the same energy but for rounding, in less time on a CPU and on GPUs with
            tensor cores.
        outputs: Numbers that the net returns for each event, (batch, outputs) if more than 1; an
            energy has 1, the net of a `classifier` one for each class.
        event_shape: (runtime) Shape of one event.
    """

    check_event_shapes = ((8, 8), (3, 8, 8))  # ebmcore.testing uses these

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        channels: Sequence[PositiveInt] = (32, 64, 128, 256),
        activation: Activation = "silu",
        spectral_norm: bool = False,
        channels_last: bool = False,
        outputs: PositiveInt = 1,
    ) -> None:
        super().__init__()
        (self.outputs,) = positive("outputs", (outputs,))
        self.event_shape = tuple(event_shape)
        self.piecewise_linear = is_piecewise_linear(activation)
        self.channels_last = channels_last
        channels = positive("channels", channels)
        colours, height, width = image_shape(self.event_shape)
        _refuse_too_many(channels, self.event_shape, min(height, width))
        first = nn.Conv2d(colours, channels[0], kernel_size=3, padding=1)
        layers = [weighted(first, spectral_norm), activation_layer(activation)]
        for inputs, outputs in pairwise(channels):
            halving = nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1)
            layers += [weighted(halving, spectral_norm), activation_layer(activation)]
            height, width = height // 2, width // 2
        head = nn.Linear(channels[-1] * height * width, self.outputs)
        self.layers = nn.Sequential(*layers, nn.Flatten(), weighted(head, spectral_norm))

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, *event_shape) -> (batch,)."""
        refuse_other_events("conv", x, self.event_shape)
        if not self.channels_last:
            return readout(self.layers(as_images(x)), self.outputs)
        first, *others = self.layers  # an image of one channel has no order of channels
        h = first(as_images(x)).contiguous(memory_format=torch.channels_last)
        for layer in others:
            h = layer(h)
        return readout(h, self.outputs)


def _refuse_too_many(channels: tuple[int, ...], event_shape: tuple[int, ...], side: int) -> None:
    fit = side.bit_length()  # the image and each half of it, down to a side of 1
    if not 1 <= len(channels) <= fit:
        raise ValueError(
            f"events of shape {event_shape} fit 1 to {fit} entries of channels, since each after "
            f"the first halves the image; got {len(channels)}"
        )
