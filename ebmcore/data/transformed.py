"""A run's data after its transforms: the points, their range, and their known density."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.data.load import Data, value_range
from ebmcore.data.transforms import Transforms


class TransformedDensity:
    """A dataset's known density in the units of its transformed events.

        log p'(x') = log p(x) - log |det dT/dx|,   x = T^-1(x'), and -inf where x' is no image

    Args:
        original: The dataset component, in the data's own units.
        transforms: T, all of whose parts have an inverse and a determinant.
    """

    def __init__(self, original: Any, transforms: Transforms) -> None:
        self.original = original
        self.transforms = transforms

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p'(x'), (n, *event') on the CPU -> (n,), in nats."""
        event, log_det, held = self.transforms.preimage(x)
        log_p: Tensor = self.original.log_prob(event) - log_det
        return torch.where(held, log_p, -torch.inf)

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return log |det dT/dx| at the events with these images, (n, *event') -> (n,), in nats."""
        return self.transforms.preimage(x)[1]


class UnknownDensity:
    """A dataset whose density isn't known after its transforms; it is itself as `original`."""

    def __init__(self, original: Any) -> None:
        self.original = original


def transform_data(
    data: Data, transforms: Transforms, generator: Generator, *, overwrite: bool = False
) -> Data:
    """Return the data as the energy sees them; transforms without a state are fitted first.

    The generator draws, for the parts that draw, the points that monitors see. With `overwrite` the
    rows of the data given are lost, so that one copy of them is in memory. Raises TransformError.
    """
    if data.mask is not None:
        transforms.refuse_masks()
    # those with shapes were fitted in the run that these data are read for again
    fit_in = None if transforms.shapes else data.space
    few, rows = data.x[:1].clone(), None
    through = transforms.through(
        data.x, generator, fit_in=fit_in, overwrite=overwrite, mask=data.mask
    )
    for index, x in enumerate(through):
        if transforms.draws and not data.stream and index == transforms.first_that_draws:
            rows = x
    if (
        fit_in is not None
        and data.n > len(x)
        and any(part.state_dict() for part in transforms.parts)
    ):
        transforms.warnings.append(
            f"data.transform was fitted on {len(x):,} of {data.n:,} training rows, which "
            "data.loader.seen says"
        )
    held_out, log_det = data.held_out, None
    if len(held_out) and data.mask is not None:  # whose density isn't known
        held_out = transforms(held_out, mask=data.held_out_mask)
    elif len(held_out):
        held_out, log_det = transforms.with_log_det(held_out, generator)
    else:
        held_out = x[:0]
    return data._replace(
        x=x,
        held_out=held_out,
        held_out_log_det=log_det,
        bounds=value_range(x).to(transforms.dtype),
        source=_density(data.source, few, transforms, known=data.mask is None),
        space=transforms.space,
        transforms=transforms,
        rows=rows,
        columns=transforms.columns(data.columns),
        warnings=(*data.warnings, *transforms.warnings),
    )


def _density(source: Any, few: Tensor, transforms: Transforms, *, known: bool) -> Any:
    """Return the density of the transformed data, tried on a few rows of those that came in."""
    if not known or not callable(getattr(source, "log_prob", None)):
        return None if source is None else UnknownDensity(source)
    try:
        transforms.preimage(transforms(few).to(transforms.dtype))
    except NotImplementedError:
        return UnknownDensity(source)
    return TransformedDensity(source, transforms)
