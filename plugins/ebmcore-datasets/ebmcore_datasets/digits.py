"""Real handwritten digits, small enough to ship with scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ebmcore import Binary, PositiveInt, Probability
from ebmcore_datasets.images import LabelledImages


class Digits(LabelledImages):
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

    def _read(self) -> tuple[Tensor, Tensor]:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped] # it has no types

        images, digits = load_digits(return_X_y=True)
        x = torch.tensor(images, dtype=torch.get_default_dtype()).reshape(-1, 8, 8) / 16
        return x, torch.tensor(digits, dtype=torch.int64)


class BinaryDigits(Digits):
    """The 1797 handwritten digits of scikit-learn as bits: 1 where a pixel is above a threshold.

    Called, it returns (x, y): x (n, side, side) of 0 and 1 in torch's default dtype, y (n,) the
    digits as integers. Nothing is downloaded and nothing is random. Its space is binary.

    Args:
        threshold: Grey level, from 0 to 1, above which a pixel is 1.
        resize: Side of the image in pixels, by bilinear interpolation of the greys; 8 when not
            given.
        classes: Only these digits, each 0 to 9; all when not given.
    """

    space: ClassVar = Binary()

    def __init__(
        self,
        *,
        threshold: Probability = 0.5,
        resize: PositiveInt | None = None,
        classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(resize=resize, classes=classes)
        self.threshold = threshold

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Return the images (n, side, side) and their digits (n,)."""
        x, y = super().__call__()
        return (x > self.threshold).to(x.dtype), y
