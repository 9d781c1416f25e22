"""Matrices as pictures of grey levels."""

from __future__ import annotations

import torch
from torch import Tensor

_SIDE = 480  # pixels that a picture has at least along its longer side, where it is smaller


def grey(values: Tensor, largest: float) -> Tensor:
    """Return values from -largest, black, through 0, grey, to largest, white, in [0, 1]."""
    return (0.5 + values / (2 * max(largest, 1e-12))).clamp(0, 1)


def mosaic(tiles: Tensor, columns: int) -> Tensor:
    """Return tiles side by side with white lines between, (n, h, w) -> (height, width)."""
    n, height, width = tiles.shape
    rows = -(-n // columns)
    framed = tiles.new_ones(rows * columns, height + 1, width + 1)
    framed[:n, 1:, 1:] = tiles
    grid = framed.reshape(rows, columns, height + 1, width + 1).transpose(1, 2)
    return torch.nn.functional.pad(grid.reshape(rows * (height + 1), -1), (0, 1, 0, 1), value=1.0)


def enlarged(picture: Tensor) -> Tensor:
    """Return the picture with each pixel a square, (height, width)."""
    factor = max(1, _SIDE // max(picture.shape))
    return picture.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
