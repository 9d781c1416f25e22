"""Random flips, shifts and crops of training batches of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from ebmcore import NonNegativeInt, PositiveInt, Space, Transform


class Augment(Transform):
    """Flip, shift and crop images, (n, …, height, width), anew in each training batch.

    Each image is mirrored left to right with probability 1/2, shifted by up to `shift` pixels in
    both directions, each way alike, with zeros moving in, and cut to `crop` × `crop` pixels at a
    random place. Held-out data, monitors and samples have no flip and no shift, and the crop at the
    centre. The model then is one of images so changed; without a crop the likelihood is that of
    held-out images as they are. Source: Krizhevsky, Sutskever and Hinton 2012, "ImageNet
    classification with deep convolutional neural networks", section 4.1 (crops and reflections).

    Args:
        flip: Whether to mirror images left to right.
        shift: Most pixels to shift by.
        crop: Side of the square to cut out; null keeps the size.
    """

    spaces = (Space,)
    draws = True
    augments = True
    check_event_shapes = ((6, 6), (3, 6, 8))
    check_params = ({"flip": True, "shift": 2}, {"crop": 4})

    def __init__(
        self, *, flip: bool = False, shift: NonNegativeInt = 0, crop: PositiveInt | None = None
    ) -> None:
        if not (flip or shift or crop):
            raise ValueError("changes nothing; give flip: true, shift or crop")
        self.flip = flip
        self.shift = shift
        self.crop = crop
        self.sizes = (0, 0)  # height and width, before

    def fit(self, x: Tensor) -> None:
        """Note the size of the images.

        Raises ValueError when events are no images, or smaller than the crop.
        """
        if x.ndim < 3:
            raise ValueError(f"takes images (…, height, width); got events {tuple(x.shape[1:])}")
        self.sizes = (x.shape[-2], x.shape[-1])
        if self.crop is not None and self.crop > min(self.sizes):
            raise ValueError(f"can't cut {self.crop} × {self.crop} out of {self.sizes}")

    def shape(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (…, crop, crop), or the same without a crop."""
        return event_shape if self.crop is None else (*event_shape[:-2], self.crop, self.crop)

    def space(self, space: Space) -> Space:
        """Return the same space."""
        return space

    def __call__(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Return the images changed; without a generator, cut at the centre alone."""
        height, width = x.shape[-2:]
        tall, wide = (height, width) if self.crop is None else (self.crop, self.crop)
        if generator is None:
            top, left = (height - tall) // 2, (width - wide) // 2
            return x[..., top : top + tall, left : left + wide]
        if self.flip:
            mirrored = self._draw(2, x, generator).reshape(-1, *(1,) * (x.ndim - 1)) == 1
            x = torch.where(mirrored, x.flip(-1), x)
        if self.shift:
            x = functional.pad(x, (self.shift,) * 4)
        rows = self._draw(height - tall + 2 * self.shift + 1, x, generator)
        columns = self._draw(width - wide + 2 * self.shift + 1, x, generator)
        down = (rows[:, None] + torch.arange(tall, device=x.device))[:, :, None]
        across = (columns[:, None] + torch.arange(wide, device=x.device))[:, None, :]
        which = torch.arange(len(x), device=x.device)[:, None, None]
        planes = x.reshape(len(x), -1, *x.shape[-2:]).movedim(1, -1)  # (n, height, width, …)
        cut = planes[which, down, across].movedim(-1, 1)
        return cut.reshape(*x.shape[:-2], tall, wide)

    @staticmethod
    def _draw(ends: int, x: Tensor, generator: Generator) -> Tensor:
        """Draw a whole number below `ends` for each image, (n,)."""
        return torch.randint(ends, (len(x),), generator=generator, device=x.device)

    def inverse(self, x: Tensor) -> Tensor:
        """Return x' as it is. Raises NotImplementedError with a crop."""
        if self.crop is not None:
            raise NotImplementedError("a crop has no inverse")
        return x

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return 0, (n,), for images that keep their size."""
        if self.crop is not None:
            raise NotImplementedError("a crop has no log |det|")
        return x.new_zeros(len(x))

    def state_dict(self) -> dict[str, Any]:
        """Return the size of the images."""
        return {"sizes": list(self.sizes)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore it."""
        height, width = state["sizes"]
        self.sizes = (int(height), int(width))
