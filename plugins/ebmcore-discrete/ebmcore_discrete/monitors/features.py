"""The features of a restricted Boltzmann machine as pictures."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch

from ebmcore import Binary, PositiveInt, RunView
from ebmcore_discrete.monitors.pictures import enlarged, grey, mosaic
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

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Raise ValueError unless events are pictures."""
        _picture_shape(event_shape)

    @torch.no_grad()
    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the picture."""
        weight = getattr(view.energy, "weight", None)
        shape = _picture_shape(tuple(view.data.shape[1:]))
        if weight is None or weight.ndim != 2 or weight.shape[1] != math.prod(shape):
            raise ValueError(
                "features shows the weights (hidden, visible) of an energy such as rbm; "
                f"{type(view.energy).__name__} has none. Remove the monitor"
            )
        weight = weight.detach().double().cpu()
        first = weight.norm(dim=1).argsort(descending=True)[: self.n]
        tiles = weight[first].reshape(-1, *shape)
        columns = math.ceil(math.sqrt(len(tiles)))
        picture = mosaic(grey(tiles, float(tiles.abs().quantile(0.995))), columns)
        return {"weights": enlarged(picture)}


def _picture_shape(event_shape: tuple[int, ...]) -> tuple[int, int]:
    match event_shape:
        case (height, width):
            return height, width
        case (bits,) if math.isqrt(bits) ** 2 == bits:
            return math.isqrt(bits), math.isqrt(bits)
    raise ValueError(f"features shows events of shape (H, W) or (side²,); got {event_shape}")
