"""Each replica begins at a draw of its own law, and is one still, k steps later.

20,000 chains; a Kolmogorov-Smirnov test, or of bits a χ² one, at level 1e-6 each.
"""

import math

import pytest
import torch
from ebmcore_discrete import Gibbs
from ebmcore_langevin import MALA, Underdamped
from ebmcore_tempering import ParallelTempering

CHAINS = 20_000
LEVEL = math.sqrt(math.log(2 / 1e-6) / 2)  # of √n times the distance
TEMPERATURES = [1.0, 2.5, 7.0]


def distance(x, wells, temperature):
    """Return the Kolmogorov-Smirnov distance of draws from exp(-E/T)."""
    cdf, grid = wells.cdf(temperature), wells.grid
    ranks = cdf[torch.searchsorted(grid, x.flatten().sort().values).clamp(max=len(grid) - 1)]
    there = torch.arange(1, len(x) + 1, dtype=torch.float64) / len(x)
    return float((ranks - there).abs().max())


@pytest.mark.parametrize("rescale", [True, False])
def test_the_law_of_each_replica_stays(wells, begin, go, rescale):
    kernel = ParallelTempering(
        MALA(step_size=0.03), temperatures=TEMPERATURES, warm_up=0, rescale=rescale
    )
    draws = [wells.draw(CHAINS, t, seed=i) for i, t in enumerate(TEMPERATURES)]
    state, _ = go(kernel, wells, begin(kernel, wells, torch.stack(draws, 1)), 4)
    for x, temperature in zip((state.x, *state.hot.unbind(1)), TEMPERATURES, strict=True):
        assert distance(x, wells, temperature) < LEVEL / math.sqrt(CHAINS)


def test_with_a_momentum_on_a_gaussian(begin, go):
    def gaussian(x):
        return x.square().sum(1) / 2

    kernel = ParallelTempering(Underdamped(step_size=0.3), temperatures=TEMPERATURES, warm_up=0)
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(CHAINS, 3, 1, generator=generator, dtype=torch.float64)
    replicas = normal * torch.tensor(TEMPERATURES).sqrt()[:, None]
    state, _ = go(kernel, gaussian, begin(kernel, gaussian, replicas, generator), 8)
    for x, temperature in zip((state.x, *state.hot.unbind(1)), TEMPERATURES, strict=True):
        stderr = temperature * math.sqrt(2 / CHAINS)
        assert abs(float(x.square().mean()) - temperature) < 5 * stderr


def test_bits_of_all_replicas_together(begin, go):
    coupling = torch.tensor([[0.0, 1.2, -0.7], [0.0, 0.0, 0.9], [0.0, 0.0, 0.0]])

    def ising(x):
        spins = 2 * x - 1
        return -(spins @ coupling * spins).sum(1) - 0.4 * spins[:, 0]

    bits = torch.tensor([[i >> j & 1 for j in range(3)] for i in range(8)]).float()
    laws = [(-ising(bits) / t).softmax(0) for t in (1.0, 3.0)]
    generator = torch.Generator().manual_seed(0)
    chosen = [torch.multinomial(p, CHAINS, replacement=True, generator=generator) for p in laws]
    kernel = ParallelTempering(Gibbs(), temperatures=[1.0, 3.0], warm_up=0)
    replicas = torch.stack([bits[i] for i in chosen], 1)
    state, _ = go(kernel, ising, begin(kernel, ising, replicas), 3)
    place = torch.tensor([1.0, 2.0, 4.0])
    both = (8 * (state.x @ place) + state.hot[:, 0] @ place).long()
    expected = CHAINS * torch.outer(*laws).flatten().double()
    counts = torch.bincount(both, minlength=64).double()
    chi2 = float(((counts - expected).square() / expected).sum())
    assert float(expected.min()) > 1
    assert chi2 < 63 + 5.5 * math.sqrt(2 * 63)
