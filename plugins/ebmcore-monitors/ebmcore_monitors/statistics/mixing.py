"""Whether chains have mixed: the largest R-hat of their energies and of directions of x.

Two wells of one depth have the same energies, so energies alone don't show that no chain crosses;
a direction in which the wells differ does. Chains of different conditions have different laws, so
R-hat compares chains of one condition only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ebmcore_monitors.statistics.convergence import rhat
from ebmcore_monitors.statistics.sliced_wasserstein import directions

Statistic = Callable[[Tensor], float | None]  # of draws (kept, chains); None: not known
COORDINATES = 16  # of an event, at most, to look at each; else as many random directions


def groups_of(*conditions: Tensor | None) -> Tensor | None:
    """Return a number for each chain, the same for chains of the same conditions, (chains,)."""
    rows = [values.flatten(1) if values.ndim > 1 else values[:, None] for values in conditions
            if values is not None]  # fmt: skip
    if not rows:
        return None
    together = torch.cat([each.double().cpu() for each in rows], dim=1)
    groups: Tensor = torch.unique(together, dim=0, return_inverse=True)[1]
    return groups


def by_group(judge: Statistic, draws: Tensor, groups: Tensor | None) -> list[float]:
    """Return a statistic of each group's chains, draws (kept, chains), where it is known."""
    parts = [draws]
    if groups is not None:
        parts = [draws[:, groups == group] for group in torch.unique(groups)]
    values = [judge(part) for part in parts]
    return [value for value in values if value is not None]


def chains_rhat(
    x: Tensor, energy: Tensor, generator: Generator, groups: Tensor | None = None
) -> float | None:
    """Return the largest R-hat of E and of x along coordinates, or directions, of its events.

    Shapes: x (kept, chains, *event), energy (kept, chains), groups (chains,). None for fewer than
    16 states, a number that isn't finite, or chains that all stand at one point.
    """
    flat = x.flatten(2).double().cpu()
    if not bool(flat.isfinite().all() & energy.isfinite().all()):
        return None
    if flat.shape[2] > COORDINATES:
        flat = flat @ directions(COORDINATES, flat.shape[2], generator).T
    draws = [energy.double().cpu(), *flat.unbind(2)]
    return max((value for each in draws for value in by_group(rhat, each, groups)), default=None)
