"""Steps that the energy's gradient informs: the estimated change of -E for each value of a number.

    Δ̃ᵢᵥ = -∇E(x)ᵀ (x with xᵢ = v, minus x),    v one of the values that xᵢ may take

Bits are differentiated as they are, categories as one-hot numbers (chains, *event, k), which the
energy takes, too. The estimate is exact where E is linear in each number given the others, as those
of Ising and Potts models are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from ebmcore import Categorical, Energy, Space, energy_and_score

State = TypeVar("State")


class AdjustedInfo(NamedTuple):
    """Diagnostics of one step that may be rejected, which monitors may log."""

    energy: Tensor  # (chains,), nats, where the step began
    acceptance: Tensor  # (chains,), the probability of keeping the proposal
    accepted: Tensor  # (chains,), 1 where it was kept, 0 where not
    changed: Tensor  # (chains,), share of an event's numbers that the step changed


class UnadjustedInfo(NamedTuple):
    """Diagnostics of one step that is always taken, which monitors may log."""

    energy: Tensor  # (chains,), nats, where the step began
    changed: Tensor  # (chains,), share of an event's numbers that the step changed


class Values:
    """The values that each number of an event may take: bits, or the categories of a space."""

    def __init__(self, space: Space | None) -> None:
        self.categories = space if isinstance(space, Categorical) else None
        self.k = 2 if self.categories is None else self.categories.k

    def begin(self, kernel: str, energy: Energy, x: Tensor, at: Callable[..., State]) -> State:
        """Make the state at x: `at(energy, x, dtype)`, for an energy of floats of that dtype.

        Raises ValueError where the energy takes no one-hot events.
        """
        if self.categories is None:
            if not x.is_floating_point():
                raise ValueError(
                    f"{kernel} on categories needs to know how many there are: give it "
                    "space=ebmcore.Categorical(k)"
                )
            return at(energy, x, x.dtype)
        with torch.no_grad():
            dtype = energy(x).dtype
        try:
            return at(energy, x, dtype)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{kernel} differentiates the energy in one-hot events, (chains, *event, "
                f"{self.k}), and {_name(energy)} doesn't take these: {error}. Let its forward "
                "begin with `space.one_hot(x, event_shape, dtype)`, or use gibbs"
            ) from error

    def gains(self, energy: Energy, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return E at x, (chains,), and Δ̃, for an energy of floats of that dtype.

        Shapes of Δ̃: (chains, numbers) for the other value of each bit; for each value of categories
        (chains, numbers, k), 0 for that which a number has.
        """
        if self.categories is None:
            values, score = energy_and_score(energy, x)
            return values, (1 - 2 * x.flatten(1)) * score.flatten(1)
        one_hot = self.categories.one_hot(x, x.shape[1:], dtype)
        values, score = energy_and_score(energy, one_hot)
        score = score.flatten(1, -2)
        now = (score * one_hot.flatten(1, -2)).sum(2, keepdim=True)
        return values, score - now

    def stays(self, x: Tensor) -> Tensor:
        """Tell which value each number has, (chains, *event) -> (chains, numbers, values) bool."""
        return x.flatten(1)[:, :, None] == torch.arange(self.k, device=x.device)


def choose(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Return the last axis' index whose cumulative probabilities enclose a uniform number.

    Shapes: (…, values), (…) -> (…) int64.
    """
    return (uniform[..., None] >= probabilities.cumsum(-1)[..., :-1]).sum(-1)


def chosen(logs: Tensor, index: Tensor) -> Tensor:
    """Return the entry of the last axis at an index, (…, values), (…) -> (…)."""
    return logs.gather(-1, index[..., None]).squeeze(-1)


def adjusted(
    old: Any, new: Any, log_proposals: Tensor, uniform: Tensor
) -> tuple[Any, Tensor, Tensor]:
    """Keep the new state with min(1, r), else the old one: Metropolis and Hastings.

    log_proposals (chains,) is log q(old | new) - log q(new | old). A proposal whose r isn't finite
    is never kept. Returns the state, the acceptance and which proposals were kept, (chains,).
    """
    log_ratio = (old.energy - new.energy).to(log_proposals.dtype) + log_proposals
    acceptance = torch.where(log_ratio.isfinite(), log_ratio.clamp(max=0).exp(), 0.0)
    kept = uniform < acceptance
    state = type(old)(
        *(torch.where(kept.view(-1, *(1 for _ in of.shape[1:])), of, last)
          for of, last in zip(new, old, strict=True))
    )  # fmt: skip
    return state, acceptance, kept


def share_changed(before: Tensor, after: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the share of numbers that differ between two batches, (chains,)."""
    return (before != after).flatten(1).to(dtype).mean(1)


def wide(x: Tensor) -> torch.dtype:
    """Return float64, in which no value is lost to rounding, but on devices without it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _name(energy: Any) -> str:
    return type(getattr(energy, "energy", energy)).__name__
