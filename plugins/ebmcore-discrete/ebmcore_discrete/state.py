"""The state and the info of the heat baths."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class GibbsState(NamedTuple):
    """The state of the chains."""

    x: Tensor  # (chains, *event), bits in the run's dtype or categories as int64


class GibbsInfo(NamedTuple):
    """Diagnostics of one step, which monitors may log."""

    changed: Tensor  # (chains,), share of an event's numbers that the step changed


def info_of(before: Tensor, after: Tensor) -> GibbsInfo:
    """Return the info of a step between two batches, (chains, *event)."""
    return GibbsInfo((before != after).flatten(1).double().mean(1).float())
