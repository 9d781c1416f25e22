"""The tilted double well against quadrature, with chains that are restarted and keep replicas."""

import math

import torch
from ebmcore_langevin import MALA, Langevin
from ebmcore_tempering import ParallelTempering

from ebmcore import Sampler, Start

CHAINS, STEPS = 2000, 200


def persistent(kernel, energy, every):
    """Run chains in runs of `every` steps, as PCD does; return their ends and the last info."""
    generator = torch.Generator().manual_seed(2)
    x = 0.5 * torch.randn(CHAINS, 1, generator=generator)
    start = Start(x)
    for _ in range(STEPS // every):
        end = Sampler(kernel, every)(energy, start, generator)
        start = Start(end.x, carried=end.carried)
    return end


def test_whatever_the_restart_interval(wells):
    kernel = ParallelTempering(MALA(step_size=0.03), temperatures=[1.0, 2.0, 4.0, 8.0], warm_up=100)
    ends = [persistent(kernel, wells, every) for every in (10, 100, STEPS)]
    for end in ends[:-1]:  # short runs are one long run, bit for bit
        assert torch.equal(end.x, ends[-1].x)
        assert all(torch.equal(a, ends[-1].carried[k]) for k, a in end.carried.items())
    x, info = ends[0].x[:, 0], ends[0].info
    p = wells.cdf().diff(prepend=torch.zeros(1, dtype=torch.float64))
    right, mean = float(p[wells.grid > 0].sum()), float(p @ wells.grid)
    variance = float(p @ (wells.grid - mean).square())
    assert (round(right, 3), round(variance, 3)) == (0.204, 0.632)
    assert abs(float((x > 0).double().mean()) - right) < 4 * math.sqrt(right * (1 - right) / CHAINS)
    squares = (x - mean).square()
    assert abs(float(squares.mean()) - variance) < 4 * float(squares.std()) / math.sqrt(CHAINS)
    assert float(info.round_trips.double().mean()) > 10


def test_langevin_stays_where_it_began(wells):
    x = persistent(Langevin(step_size=0.005), wells, 10).x
    assert abs(float((x > 0).double().mean()) - 0.5) < 4 * math.sqrt(0.25 / CHAINS)
