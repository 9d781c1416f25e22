"""Chains that begin at the batch of data."""

from __future__ import annotations

from torch import Generator, Tensor

from ebmcore import Chains


class Data(Chains):
    """Begin at the batch of data itself and keep nothing: CD-k (Hinton 2002).

    k is the sampler's number of steps. The chains stay near the data, so they never visit modes of
    the model far from all data, and the loss never raises the energy there.

    Shapes: x (batch, *event) -> a detached copy of x.
    """

    def start(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Return a copy of x that shares no memory with it."""
        return x.detach().clone()
