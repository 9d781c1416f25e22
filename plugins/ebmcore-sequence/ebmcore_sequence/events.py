"""Shapes of sequences: (T, C), T steps of C channels, or (T,), which is one channel."""

from __future__ import annotations

from torch import Tensor


def sequence_shape(event_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (steps, channels). Raises ValueError when an event is not a sequence, or empty."""
    if len(event_shape) not in (1, 2):
        raise ValueError(f"takes events of shape (T,) or (T, C); got {tuple(event_shape)}")
    if 0 in event_shape:
        raise ValueError(f"events of shape {tuple(event_shape)} hold no numbers")
    return event_shape[0], event_shape[1] if len(event_shape) == 2 else 1


def as_sequences(name: str, x: Tensor, event_shape: tuple[int, ...], tokens: int = 0) -> Tensor:
    """Return (batch, T, C), or of one-hot tokens (batch, T, C, tokens).

    Raises ValueError unless x is a batch of events of that shape, or of such tokens.
    """
    one_hot = tokens > 0 and x.ndim == len(event_shape) + 2
    wanted = (*event_shape, tokens) if one_hot else event_shape
    if x.ndim == 0 or tuple(x.shape[1:]) != wanted:
        found = tuple(x.shape[1:]) if x.ndim else "a single number"
        raise ValueError(f"energy {name} was built for events of shape {wanted}; got {found}")
    return x.unsqueeze(2) if len(event_shape) == 1 else x


def mask_of(name: str, mask: Tensor, sequences: Tensor) -> Tensor:
    """Return a mask as bool. Raises ValueError unless it has one value for each step."""
    if mask.shape != sequences.shape[:2]:
        raise ValueError(
            f"energy {name} takes a mask of one value for each step, shape "
            f"{tuple(sequences.shape[:2])}; got {tuple(mask.shape)}"
        )
    return mask.bool()


def refuse_less_than_one(**sizes: int) -> None:
    """Raise ValueError when a size is not positive."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} should be a positive number; got {size}")
