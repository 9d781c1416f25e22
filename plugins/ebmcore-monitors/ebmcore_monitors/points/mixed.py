"""Whether the samples that a model is judged by come from chains that have mixed.

Samples of chains that haven't mixed show where the sampler got, as much as the model: held-out data
may reject a good model, and fail to reject a poor one. R-hat can't show a well that no chain has
found; the data can. Chains of a kernel that anneals have no one law, so that they could mix in it:
nothing is said of them.

Source: Gelman and Rubin 1992, "Inference from iterative simulation using multiple sequences": R-hat
of the second half of chains, and 1.1 as about where they agree.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore import RunView, conditioned
from ebmcore_monitors.points.labels import energies_at, is_conditional
from ebmcore_monitors.statistics.mixing import chains_rhat, groups_of

CHAINS = 64  # that are followed beside the samples
CONDITIONS = 4  # of a conditional energy, that share those chains
STATES = 64  # of each chain, at least, where it takes so many steps; the second half counts
FEWEST = 31  # steps, at least: R-hat needs 16 states in their second half
MIXED = 1.1  # R-hat below which chains count as mixed; a posterior's user would ask for 1.01


class Followed(NamedTuple):
    """The second half of the way of chains."""

    x: Tensor  # (kept, chains, *event)
    energy: Tensor  # (kept, chains), nats
    thin: int  # steps from one kept state to the next
    several_laws: bool  # whether the chains have different conditions


class Mixing(NamedTuple):
    """R-hat of chains that begin and run as those of the samples do."""

    steps: int
    rhat: float | None  # infinite when no chain moves; None when it can't be known
    has_law: bool = True  # whether the chains have one law that they may mix in
    followed: Followed | None = None  # of chains that were followed

    @property
    def doubtful(self) -> bool:
        """Whether the chains should agree and aren't known to."""
        return self.has_law and not self.mixed

    @property
    def mixed(self) -> bool:
        """Whether the chains are known to agree."""
        return self.rhat is not None and self.rhat < MIXED

    def numbers(self, prefix: str = "") -> dict[str, float]:
        """Return `mixed`, 0 or 1, and `rhat`, if it is known and finite; of no law, nothing."""
        if not self.has_law:
            return {}
        known = self.rhat is not None and math.isfinite(self.rhat)
        rhat = {f"{prefix}rhat": float(self.rhat or 0.0)} if known else {}
        return {**rhat, f"{prefix}mixed": float(self.mixed)}

    def warning(self, verdict: str, key: str) -> str:
        """Return why a verdict isn't sure, and the key to change."""
        if self.rhat is not None:
            why = (
                f"have not mixed in their {self.steps} steps (R-hat is {self.rhat:.3g}, not under "
                f"{MIXED:g})"
            )
        elif self.steps < FEWEST:
            why = f"take {self.steps} steps, and R-hat needs {FEWEST} to show whether they mix"
        else:
            why = "stand at one point, or at numbers that are not finite, so R-hat is not known"
        return (
            f"{verdict} is not sure: the chains of its samples {why}. It may judge the sampler as "
            f"much as the model, for better or worse. Raise {key}, or change the sampler"
        )


def mixing_of(view: RunView, n_steps: int | None, chains: int = CHAINS) -> Mixing:
    """Follow other chains like those of `view.sample(n, n_steps)`, and return their R-hat.

    The monitors of one step follow them once.
    """
    steps = n_steps or 10 * view.n_steps
    if getattr(view.kernel, "anneals", False):
        return Mixing(steps, None, has_law=False)
    key = ("ebmcore_monitors", "mixing", steps, chains)
    mixing: Mixing = view.once(key, lambda own: _followed(own, steps, chains))
    return mixing


def _followed(view: RunView, steps: int, chains: int) -> Mixing:
    y, mask = _conditions(view, chains)
    thin = max(1, steps // STATES)
    trace = view.trace(chains, steps, thin, y=y, mask=mask)
    x = trace.x[len(trace.x) // 2 :]
    at_each = (None if rows is None else repeated(rows, len(x)) for rows in (y, mask))
    energy = energies_at(view, x.flatten(0, 1), *at_each).reshape(x.shape[:2])
    groups = groups_of(y, mask)
    followed = Followed(x, energy, thin, groups is not None and len(torch.unique(groups)) > 1)
    rhat = chains_rhat(x, energy, view.generator, groups)
    return Mixing(steps, rhat, followed=followed)


def _conditions(view: RunView, chains: int) -> tuple[Tensor | None, Tensor | None]:
    """Return conditions of the data for the chains, a few that many chains share."""
    y = view.data_y if is_conditional(view) else None
    mask = view.data_mask
    if mask is not None and conditioned(view.energy, mask=mask) is view.energy:
        mask = None
    if y is None and mask is None:
        return None, None
    generator = view.generator
    few = torch.randint(len(view.data), (CONDITIONS,), generator=generator, device=generator.device)
    each = few.repeat_interleave(-(-chains // CONDITIONS))[:chains]
    y, mask = (None if rows is None else rows[each.to(rows.device)] for rows in (y, mask))
    return y, mask


def repeated(rows: Tensor, times: int) -> Tensor:
    """Return conditions of chains, (chains, …), for so many states of each, state by state."""
    return rows.repeat(times, *(1 for _ in rows.shape[1:]))
