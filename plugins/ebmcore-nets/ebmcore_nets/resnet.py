"""A residual network as an energy of images."""

from __future__ import annotations

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


class ResidualBlock(nn.Module):
    """h ↦ h + W₂ ∗ a(W₁ ∗ a(h) + b₁) + b₂, ∗ a 3×3 convolution that keeps the image's size."""

    def __init__(self, width: int, activation: str, spectral_norm: bool) -> None:
        super().__init__()
        first, second = (
            weighted(nn.Conv2d(width, width, kernel_size=3, padding=1), spectral_norm)
            for _ in range(2)
        )
        activations = activation_layer(activation), activation_layer(activation)
        self.branch = nn.Sequential(activations[0], first, activations[1], second)

    def forward(self, h: Tensor) -> Tensor:
        """Return the sum of h and the branch, (batch, width, H, W) -> the same."""
        added: Tensor = self.branch(h)
        return h + added


class ResNet(nn.Module):
    """A 3×3 convolution, residual blocks that each end in a mean-pool, linear to one number.

    A block is h ↦ h + W₂ ∗ a(W₁ ∗ a(h) + b₁) + b₂ with 3×3 convolutions, the full pre-activation
    unit of He et al. without its normalisation, and then the mean over 2×2 pixels. An odd row or
    column at the edge is averaged by itself, so that no pixel is lost: 28×28 goes through 14, 7, 4,
    2 and 1. After the last block: activation, flatten, linear.

    A block can't pool a side of 1: 8×8 fits at most 3 blocks, 28×28 at most 5. More of them raise
    ValueError.

    Shapes: x (batch, H, W), which is one channel, or (batch, C, H, W) -> (batch,), nats. Each
    event's energy depends on that event alone: the network has no normalisation layer. Calls with
    events of another shape raise ValueError.

    Args:
        width: Channels, the same in every block.
        blocks: Residual blocks; each halves the image.
        activation: a; silu is smooth, leaky_relu has slope 0.2 below 0 and makes the Laplacian of E
            zero almost everywhere.
        spectral_norm: Divide each weight, as a matrix of one row per output channel, by its largest
            singular value (Miyato et al. 2018); the estimate is a buffer that each call in train
            mode updates.
        outputs: Numbers that the net returns for each event, (batch, outputs) if more than 1; an
            energy has 1, the net of a `classifier` one for each class.
        event_shape: (runtime) Shape of one event.

    Source: He, Zhang, Ren and Sun 2016, "Identity mappings in deep residual networks". A residual
    network as an energy of images: Du and Mordatch 2019, "Implicit generation and modeling with
    energy-based models".
    """

    check_event_shapes = ((8, 8), (3, 8, 8))  # ebmcore.testing uses these

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        width: PositiveInt = 64,
        blocks: PositiveInt = 3,
        activation: Activation = "silu",
        spectral_norm: bool = False,
        outputs: PositiveInt = 1,
    ) -> None:
        super().__init__()
        (self.outputs,) = positive("outputs", (outputs,))
        self.event_shape = tuple(event_shape)
        self.piecewise_linear = is_piecewise_linear(activation)
        positive("width and blocks", (width, blocks))
        colours, *sides = image_shape(self.event_shape)
        _refuse_too_many(blocks, self.event_shape, min(sides))
        first = nn.Conv2d(colours, width, kernel_size=3, padding=1)
        layers: list[nn.Module] = [weighted(first, spectral_norm)]
        for _ in range(blocks):
            layers.append(ResidualBlock(width, activation, spectral_norm))
            layers.append(nn.AvgPool2d(kernel_size=2, ceil_mode=True))
            sides = [-(-side // 2) for side in sides]
        head = nn.Linear(width * sides[0] * sides[1], self.outputs)
        self.layers = nn.Sequential(
            *layers, activation_layer(activation), nn.Flatten(), weighted(head, spectral_norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, *event_shape) -> (batch,)."""
        refuse_other_events("resnet", x, self.event_shape)
        return readout(self.layers(as_images(x)), self.outputs)


def _refuse_too_many(blocks: int, event_shape: tuple[int, ...], side: int) -> None:
    if side == 1:
        raise ValueError(f"events of shape {event_shape} have a side of 1, which can't be pooled")
    fit = (side - 1).bit_length()  # halvings, rounded up, until the side is 1
    if blocks > fit:
        raise ValueError(
            f"events of shape {event_shape} fit at most {fit} blocks, since each halves the image; "
            f"got {blocks}"
        )
