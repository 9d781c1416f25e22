"""The state and the info of parallel tempering."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

from torch import Tensor

_AXES: dict[str, tuple[str, ...]] = {
    "swap_rate": ("chains", "pair"),
    "temperature": ("chains", "replica"),
}


class TemperingState(NamedTuple):
    """The state of the chains; a field `kernel_NAME` follows for each that the kernel carries."""

    x: Tensor  # (chains, *event), the coldest replica
    hot: Tensor  # (chains, replicas - 1, *event), the others, from cold to hot
    steps: Tensor  # (chains,), integer: the steps that the ladder has seen
    log_spacing: Tensor  # (chains, replicas - 1), of neighbours' log temperatures, but for a factor
    phase: Tensor  # (chains, replicas), integer: of each replica's round trip; `round_trips.py`
    round_trips: Tensor  # (chains,), integer: those completed since the chain began


class TemperingInfo(NamedTuple):
    """Diagnostics of one step, which monitors may log."""

    energy: Tensor  # (chains,), nats at temperature 1, of x where the step ended
    swap_rate: Tensor  # (chains, pairs), the probability of each pair's swap, were it its turn
    temperature: Tensor  # (chains, replicas), the ladder of the step
    round_trips: Tensor  # (chains,), those completed since the chain began

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The axes of the fields that aren't (chains,)."""
        return _AXES


class AdjustedTemperingInfo(NamedTuple):
    """The same of a kernel that accepts and rejects."""

    energy: Tensor  # (chains,), nats at temperature 1, of x where the step ended
    swap_rate: Tensor  # (chains, pairs), the probability of each pair's swap, were it its turn
    temperature: Tensor  # (chains, replicas), the ladder of the step
    round_trips: Tensor  # (chains,), those completed since the chain began
    acceptance: Tensor  # (chains,), the kernel's own, at the first temperature

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The axes of the fields that aren't (chains,)."""
        return _AXES


def held(name: str) -> str:
    """Return the name of a field that the kernel carries, in the state."""
    return f"kernel_{name}"


def state_type(carries: tuple[str, ...]) -> Any:
    """Return the type of the state for a kernel that carries these fields."""
    if not carries:
        return TemperingState
    return namedtuple("TemperingState", [*TemperingState._fields, *map(held, carries)])
