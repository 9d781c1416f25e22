"""Fresh starting points: each function draws n events of the shape, dtype and device of x."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ebmcore import Real, Space


def is_of_space(space: Space | None, kind: str) -> bool:
    """Tell whether noise of a kind is a uniform draw from the space itself.

    Any noise is on a discrete space, uniform noise is on a real one with bounds.
    """
    if space is None or not isinstance(space, Real):
        return space is not None
    return kind == "uniform" and space.low is not None and space.high is not None


def of_space(x: Tensor, n: int, space: Space, generator: Generator | None) -> Tensor:
    """Draw n events from the space."""
    return space.sample((n, *x.shape[1:]), generator, x.device, x.dtype)


def uniform(x: Tensor, n: int, data_range: Tensor, generator: Generator | None) -> Tensor:
    """Draw n events, each element uniform between that element of data_range[0] and data_range[1].

    Raises ValueError when data_range, (2, *event), is of other events than x, (batch, *event).
    """
    if data_range.shape != (2, *x.shape[1:]):
        raise ValueError(
            f"data_range should have shape {(2, *x.shape[1:])} for events of shape "
            f"{tuple(x.shape[1:])}; got {tuple(data_range.shape)}"
        )
    data_range = data_range.to(x)
    return torch.lerp(data_range[0], data_range[1], unit_interval(x, (n, *x.shape[1:]), generator))


def normal(x: Tensor, n: int, scale: float, generator: Generator | None) -> Tensor:
    """Draw n events, each element from N(0, scale²)."""
    shape, device = (n, *x.shape[1:]), device_of(x, generator)
    noise = torch.randn(shape, generator=generator, device=device, dtype=x.dtype)
    return scale * noise.to(x.device)


def row_numbers(x: Tensor, n: int, generator: Generator | None) -> Tensor:
    """Draw n row numbers of x, with repeats."""
    index = torch.randint(len(x), (n,), generator=generator, device=device_of(x, generator))
    return index.to(x.device)


def unit_interval(x: Tensor, shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    """Draw numbers uniform on [0, 1), on the device of x and in its dtype, if that is of floats."""
    device, dtype = device_of(x, generator), x.dtype if x.is_floating_point() else None
    return torch.rand(shape, generator=generator, device=device, dtype=dtype).to(x.device)


def device_of(x: Tensor, generator: Generator | None) -> torch.device:
    """Return the device to draw on: the generator's, or x's where nothing is computed."""
    return x.device if generator is None or x.is_meta else generator.device
