"""Even-odd swaps of replicas at neighbouring temperatures, accepted by Metropolis' rule.

Replicas k and k + 1, x and x', at β = 1/T > β' exchange their temperatures with probability

    min(1, exp((β - β')(E(x) - E(x')))),

which leaves the product of exp(-β_k E) over all replicas invariant. In turns the pairs (0, 1),
(2, 3), … and (1, 2), (3, 4), … swap, so that a replica that goes up goes on up until a swap is
rejected.
Source: Swendsen and Wang 1986; Geyer 1991; the turns: Okabe, Kawata, Okamoto and Mikami 2001; why
they are better than pairs at random: Syed, Bouchard-Côté, Deligiannidis and Doucet 2022,
"Non-reversible parallel tempering: a scalable highly parallel MCMC scheme", JRSS B 84.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad


class Swap(NamedTuple):
    """One round of swaps."""

    source: Tensor  # (chains, replicas), int64: the replica that each temperature gets
    rates: Tensor  # (chains, pairs), the probability of each pair's swap, were it its turn


def swap(energies: Tensor, betas: Tensor, turn: Tensor, uniform: Tensor) -> Swap:
    """Swap every second pair of neighbours, where u < rate.

    Pairs whose energies give no number, such as ∞ - ∞, stay. Pure.

    Shapes: energies and betas (chains, replicas), nats at temperature 1 and 1/T from the coldest to
    the hottest; turn (chains,), integer, even: the pairs (0, 1), (2, 3), …, odd: (1, 2), …; uniform
    (chains, replicas - 1) of [0, 1).
    """
    rates = swap_rates(energies, betas)
    pair = torch.arange(rates.shape[1], device=rates.device)
    swapped = ((pair + turn[:, None]) % 2 == 0) & (uniform < rates)
    up, down = pad(swapped, (0, 1)).long(), pad(swapped, (1, 0)).long()
    level = torch.arange(energies.shape[1], device=rates.device)
    return Swap(level + up - down, rates)


def swap_rates(energies: Tensor, betas: Tensor) -> Tensor:
    """Return min(1, exp((β - β')(E - E'))) of each pair of neighbours, (chains, pairs)."""
    colder = betas[:, :-1] - betas[:, 1:]
    log_ratio = colder * (energies[:, :-1] - energies[:, 1:])
    return torch.where(log_ratio.isnan(), 0.0, log_ratio.clamp(max=0).exp())
