"""The energies of a step's data and samples: their means and their largest size."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ebmcore.distributed.comm import Ranks
from ebmcore.sampling import conditioned, evaluating
from ebmcore.train.components import Parts
from ebmcore.train.rng import own_global_stream
from ebmcore.train.types import StepResult


class Energies(NamedTuple):
    """Energies in nats, of `data` and, if there are any, of `samples`."""

    means: dict[str, float]  # mean E
    largest: dict[str, float]  # max |E|


def energies_of(result: StepResult, parts: Parts, ranks: Ranks) -> Energies:
    """Evaluate the energy at a step's data and samples, over all ranks.

    It draws from no stream and leaves the modules' modes as they were.
    """
    energy = parts.energy
    named = {"data": (result.x, result.conditions), "samples": (result.x_neg, result.of_x_neg)}
    batches = {name: (x, given) for name, (x, given) in named.items() if x is not None}
    with torch.no_grad(), own_global_stream(None, parts.device), evaluating(energy):
        values = [conditioned(energy, **given._asdict())(x) for x, given in batches.values()]
        numbers = [[e.mean(), e.abs().max()] for e in values]
        table = torch.stack([torch.stack(pair) for pair in numbers])
    if ranks.size > 1:
        each = torch.stack(ranks.all_gather(table.cpu()))
        table = torch.stack([each[..., 0].mean(0), each[..., 1].amax(0)], -1)
    rows = table.tolist()
    means = {name: row[0] for name, row in zip(batches, rows, strict=True)}
    return Energies(means, {name: row[1] for name, row in zip(batches, rows, strict=True)})
