"""Real handwritten digits, small enough to ship with scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ebmcore import PositiveInt


class Digits:
    """The 1797 handwritten digits of scikit-learn: 8×8 pixels of 17 grey levels, about 180 a digit.

    They are the test part of "Optical Recognition of Handwritten Digits" of the UCI repository.
    Called, it returns (x, y): x (n, side, side) in torch's default dtype, y (n,) the digits as
    integers. Nothing is downloaded and nothing is random.

    Args:
        scale: unit divides by the whitest level, to [0, 1]; standardised shifts and scales all
            pixels together to mean 0 and standard deviation 1.
        resize: Side of the image in pixels, by bilinear interpolation; 8 when not given.
        classes: Only these digits, each 0 to 9; all when not given.
    """

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
        from sklearn.datasets import load_digits  # type: ignore[import-untyped] # it has no types

        images, digits = load_digits(return_X_y=True)
        x = torch.tensor(images, dtype=torch.get_default_dtype()).reshape(-1, 8, 8) / 16
        y = torch.tensor(digits, dtype=torch.int64)
        if self.classes is not None:
            chosen = torch.isin(y, torch.tensor(list(self.classes)))
            x, y = x[chosen], y[chosen]
        if self.resize is not None:
            size = (self.resize, self.resize)
            x = interpolate(x[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        if self.scale == "standardised":
            x = (x - x.mean()) / x.std(correction=0)
        return x, y
