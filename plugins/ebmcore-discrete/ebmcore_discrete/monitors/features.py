"""The features of a restricted Boltzmann machine as pictures."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch

from ebmcore import Binary, PositiveInt, RunView
from ebmcore_discrete.monitors.pictures import mosaic, plot_weights
from ebmcore_discrete.rbm import RBM


class Features:
    """A picture of what each hidden bit looks for: its weights to the visible bits, as an image.

    `weights`: a tile for each hidden bit, white where it wants a 1, black where a 0, all on one
    scale; those of the largest norm first. Events are images (H, W), or flat ones of a square
    number of bits. Raises ValueError for others, and when the energy has no `weight`,
    (hidden, visible), as `rbm` has.

    Args:
        n: Number of hidden bits to show, at most.
    """

    every = "10 epochs"
    metrics: ClassVar = ()
    spaces: ClassVar = (Binary,)
    check_event_shapes = ((2, 2),)  # ebmcore.testing uses these

    @staticmethod
    def check_energy(event_shape: tuple[int, ...]) -> RBM:
        """Make an energy that has features."""
        return RBM(3, scale=0.5, event_shape=event_shape)

    def __init__(self, *, n: PositiveInt = 64) -> None:
        self.n = n

    def check(self, event_shape: tuple[int, ...], energy: Any) -> None:
        """Raise ValueError unless events are pictures, and the energy has weights to them."""
        shape = _picture_shape(event_shape)
        weight = getattr(energy, "weight", None)
        if weight is None or weight.ndim != 2 or weight.shape[1] != math.prod(shape):
            raise ValueError(
                "features shows the weights (hidden, visible) of an energy such as rbm; "
                f"{type(energy).__name__} has none. Remove the monitor"
            )

    @torch.no_grad()
    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the picture."""
        model: Any = view.energy
        event_shape = tuple(view.data.shape[1:])
        self.check(event_shape, model)
        weight = model.weight.detach().double().cpu()
        first = weight.norm(dim=1).argsort(descending=True)[: self.n]
        tiles = weight[first].reshape(-1, *_picture_shape(event_shape))
        name = f"{len(tiles)} of {len(weight)} hidden bits, the strongest first"
        unit = "weight, in nats: wants a 1 where white, a 0 where black"
        most = float(tiles.abs().quantile(0.995))  # so that a few large ones hide no others
        figure = plot_weights(view, "features", {name: mosaic(tiles)}, most=most, unit=unit)
        return {"weights": figure}


def _picture_shape(event_shape: tuple[int, ...]) -> tuple[int, int]:
    match event_shape:
        case (height, width):
            return height, width
        case (bits,) if math.isqrt(bits) ** 2 == bits:
            return math.isqrt(bits), math.isqrt(bits)
    raise ValueError(f"features shows events of shape (H, W) or (side²,); got {event_shape}")
