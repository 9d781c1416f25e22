"""Shared parts of the networks: spectral normalisation, image shapes, checks of events."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils import parametrizations


def weighted(layer: nn.Module, spectral_norm: bool) -> nn.Module:
    """Return the layer; with `on`, its weight divided by its largest singular value."""
    return parametrizations.spectral_norm(layer) if spectral_norm else layer


def readout(values: Tensor, outputs: int) -> Tensor:
    """Return a net's last layer as energies, (batch,), or with several outputs unchanged."""
    return values.squeeze(1) if outputs == 1 else values


def image_shape(event_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (channels, height, width); (H, W) is one channel.

    Raises ValueError when an event is not an image, or is empty.
    """
    refuse_empty(event_shape)
    if len(event_shape) == 2:
        return (1, *event_shape)
    if len(event_shape) == 3:
        return event_shape
    raise ValueError(f"takes events of shape (H, W) or (C, H, W); got {event_shape}")


def as_images(x: Tensor) -> Tensor:
    """Return (batch, C, H, W): images without channels, (batch, H, W), get one."""
    return x.unsqueeze(1) if x.ndim == 3 else x


def refuse_empty(event_shape: Iterable[int]) -> tuple[int, ...]:
    """Return the shape as a tuple. Raises ValueError when its events hold no numbers."""
    event_shape = tuple(event_shape)
    if 0 in event_shape:
        raise ValueError(f"events of shape {event_shape} hold no numbers; no energy can be built")
    return event_shape


def refuse_other_events(name: str, x: Tensor, event_shape: tuple[int, ...]) -> None:
    """Raise ValueError unless x is a batch of events of that shape."""
    if x.ndim == 0 or tuple(x.shape[1:]) != event_shape:
        found = tuple(x.shape[1:]) if x.ndim else "a single number"
        raise ValueError(f"energy {name} was built for events of shape {event_shape}; got {found}")


def positive(name: str, sizes: Iterable[int]) -> tuple[int, ...]:
    """Return the sizes as a tuple. Raises ValueError when one is not positive."""
    sizes = tuple(sizes)
    if any(size < 1 for size in sizes):
        raise ValueError(f"{name} should be positive numbers; got {list(sizes)}")
    return sizes
