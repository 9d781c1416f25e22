import math

import pytest
import torch
from ebmcore_monitors.statistics.convergence import rhat
from ebmcore_monitors.statistics.mixing import by_group, chains_rhat, groups_of


def test_groups_are_chains_of_the_same_conditions():
    y = torch.tensor([0, 1, 0, 1])
    mask = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 1]]).bool()
    assert groups_of(None, None) is None
    assert groups_of(y).tolist() == [0, 1, 0, 1]
    first, second, third, fourth = groups_of(y, mask).tolist()
    assert first == third
    assert len({first, second, fourth}) == 3


def test_a_statistic_is_taken_within_each_group(normal):
    draws = normal(50, 4, 0) + torch.tensor([0.0, 9.0, 0.0, 9.0])
    groups = torch.tensor([3, 1, 3, 1])
    found = by_group(rhat, draws, groups)
    assert found == [rhat(draws[:, [1, 3]]), rhat(draws[:, [0, 2]])]
    assert by_group(rhat, draws, None) == [rhat(draws)]
    assert by_group(rhat, draws[:10], groups) == []


@pytest.mark.parametrize("dimension", [2, 300])  # by coordinates, and by directions
def test_wells_of_one_energy_are_told_by_where_they_lie(seeded, dimension):
    g = seeded(0)
    x = torch.randn(32, 64, dimension, generator=g)
    energy = 0.5 * x.square().sum(2)
    assert chains_rhat(x, energy, g) < 1.02
    well = torch.where(torch.arange(64) < 32, 3.0, -3.0)[:, None]
    assert chains_rhat(x + well / math.sqrt(dimension / 2), energy, g) > 1.1
    only_last = torch.zeros(dimension)
    only_last[-1] = 5.0 * math.sqrt(dimension)
    assert chains_rhat(x + (well / 3) * only_last, energy, g) > 1.1
    assert chains_rhat(x, energy + 5.0 * well[:, 0], g) > 1.1
    assert chains_rhat(x + well, energy, g, well[:, 0]) < 1.05


def test_rhat_of_chains_that_show_nothing_is_not_known(seeded):
    x, energy = torch.zeros(32, 8, 2), torch.zeros(32, 8)
    assert chains_rhat(x, energy, seeded(0)) is None
    assert chains_rhat(x / 0, energy, seeded(0)) is None
    moved = torch.randn(15, 8, 2, generator=seeded(1))
    assert chains_rhat(moved, energy[:15], seeded(0)) is None
    still = torch.randn(1, 8, 2, generator=seeded(1)).expand(32, 8, 2)
    assert chains_rhat(still, energy, seeded(0)) == math.inf
