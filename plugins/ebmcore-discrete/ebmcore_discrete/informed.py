"""Steps that the energy's gradient informs: the estimated change of -E for each value of a number.

    Δ̃ᵢᵥ = -∇E(x)ᵀ (x with xᵢ = v, minus x),    v one of the values that xᵢ may take

Bits are differentiated as they are, categories as one-hot numbers (chains, *event, k), which the
energy takes, too. The estimate is exact where E is linear in each number given the others, as those
of Ising and Potts models are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebmcore import Categorical, Energy, Space, energy_and_score


class InformedState(NamedTuple):
    """The state of the chains; it keeps energy and differences at x: a step is one gradient."""

    x: Tensor  # (chains, *event), bits in the run's dtype or categories as int64
    energy: Tensor  # (chains,), nats, at x
    differences: Tensor  # (chains, numbers, values), Δ̃ at x, nats


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

    def begin(self, kernel: str, energy: Energy, x: Tensor) -> InformedState:
        """Make the state at x. Raises ValueError where the energy takes no one-hot events."""
        if self.categories is None:
            if not x.is_floating_point():
                raise ValueError(
                    f"{kernel} on categories needs to know how many there are: give it "
                    "space=ebmcore.Categorical(k)"
                )
            return self.at(energy, x, x.dtype)
        with torch.no_grad():
            dtype = energy(x).dtype
        try:
            return self.at(energy, x, dtype)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{kernel} differentiates the energy in one-hot events, (chains, *event, "
                f"{self.k}), and {_name(energy)} doesn't take these: {error}. Let its forward "
                "begin with `space.one_hot(x, event_shape, dtype)`, or use gibbs"
            ) from error

    def at(self, energy: Energy, x: Tensor, dtype: torch.dtype) -> InformedState:
        """Return energy and differences at x, for an energy of floats of that dtype."""
        if self.categories is None:
            values, score = energy_and_score(energy, x)
            score, flat = score.flatten(1), x.flatten(1)
            return InformedState(x, values, torch.stack([-flat * score, (1 - flat) * score], 2))
        one_hot = self.categories.one_hot(x, x.shape[1:], dtype)
        values, score = energy_and_score(energy, one_hot)
        score = score.flatten(1, -2)
        now = (score * one_hot.flatten(1, -2)).sum(2, keepdim=True)
        return InformedState(x, values, score - now)

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
    old: InformedState, new: InformedState, log_proposals: Tensor, uniform: Tensor
) -> tuple[InformedState, AdjustedInfo]:
    """Keep the new state with min(1, r), else the old one: Metropolis and Hastings.

    log_proposals (chains,) is log q(old | new) - log q(new | old). A proposal whose r isn't finite
    is never kept.
    """
    log_ratio = (old.energy - new.energy).to(log_proposals.dtype) + log_proposals
    acceptance = torch.where(log_ratio.isfinite(), log_ratio.clamp(max=0).exp(), 0.0)
    kept = uniform < acceptance
    x = torch.where(kept.view(-1, *(1 for _ in old.x.shape[1:])), new.x, old.x)
    state = InformedState(
        x,
        torch.where(kept, new.energy, old.energy),
        torch.where(kept[:, None, None], new.differences, old.differences),
    )
    dtype = old.energy.dtype
    share = share_changed(old.x, x, dtype)
    return state, AdjustedInfo(old.energy, acceptance.to(dtype), kept.to(dtype), share)


def share_changed(before: Tensor, after: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the share of numbers that differ between two batches, (chains,)."""
    return (before != after).flatten(1).to(dtype).mean(1)


def wide(x: Tensor) -> torch.dtype:
    """Return float64, in which no value is lost to rounding, but on devices without it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _name(energy: Any) -> str:
    return type(getattr(energy, "energy", energy)).__name__
