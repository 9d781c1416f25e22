"""Chains that begin at the batch of data."""

from __future__ import annotations

from torch import Generator, Tensor

from ebmcore import Chains


class Data(Chains):
    """Begin at the batch of data itself and keep nothing: CD-k (Hinton 2002).

    With a sampler of k steps. The chains stay near the data, so modes of the model that lie far
    from all data are never seen, and never pushed up.

    Shapes: x (batch, *event) -> a detached copy of x.
    """

    def start(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Return a copy of x that shares no memory with it."""
        return x.detach().clone()
