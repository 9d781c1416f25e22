"""The base class of handwritten digits: selects classes, resizes and scales the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ebmcore import PositiveInt


class LabelledImages:
    """Images of the digits 0 to 9 with their labels; a subclass reads them."""

    def __init__(
        self,
        *,
        scale: Literal["unit", "standardised"] = "unit",
        resize: PositiveInt | None = None,
        classes: Sequence[int] | None = None,
    ) -> None:
        if scale not in ("unit", "standardised"):
            raise ValueError(f"scale should be unit or standardised; got {scale!r}")
        if resize is not None and resize < 1:
            raise ValueError(f"resize should be at least 1; got {resize}")
        if classes is not None and (not classes or any(c not in range(10) for c in classes)):
            raise ValueError(f"classes should be digits from 0 to 9; got {list(classes)}")
        self.scale = scale
        self.resize = resize
        self.classes = classes

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Return the images (n, side, side) and their digits (n,)."""
        x, y = self._read()
        if self.classes is not None:
            chosen = torch.isin(y, torch.tensor(list(self.classes)))
            x, y = x[chosen], y[chosen]
        if self.resize is not None:
            size = (self.resize, self.resize)
            x = interpolate(x[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        if self.scale == "standardised":
            x = (x - x.mean()) / x.std(correction=0)
        return x, y

    def _read(self) -> tuple[Tensor, Tensor]:
        """Return all images (n, side, side), from 0 to 1, and their digits (n,), int64."""
        raise NotImplementedError
