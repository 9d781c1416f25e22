import math

import pytest
import torch
from ebmcore_monitors.likelihood.hints import Hints, _rays, grid_minima, hints
from ebmcore_monitors.likelihood.wells import find_wells, is_far, sites_of
from ebmcore_monitors.points.grid import grid_over
from torch.testing import assert_close

LIKE = torch.zeros(1, 2, dtype=torch.float64)


def at(*points):
    return torch.tensor(points, dtype=torch.float64)


def bowl(centre, sd, depth=0.0):
    return lambda x: 0.5 * ((x - at(*centre)) / at(*sd)).square().sum(1) - depth


def lowest_of(*energies):
    return lambda x: torch.stack([energy(x) for energy in energies]).amin(0)


def hints_of(energy, x, points=41):
    grid = grid_over(at((-2, -2), (2, 2)), points)
    on_grid = energy(torch.cartesian_prod(*grid.axes))
    return hints(energy, grid, on_grid, x, LIKE)


@pytest.mark.parametrize(("depth", "found"), [(0.2, 0), (0.3, 1)])
def test_a_point_a_quarter_nat_below_its_cell_is_a_hint(depth, found):
    spike = bowl((0.05, 0.05), (1e-3, 1e-3), depth)
    start, known = hints_of(lowest_of(lambda x: 0 * x[:, 0], spike), at((0.05, 0.05), (1, 1.05)))
    assert len(start.x) == found
    assert_close(known.log_f, at(depth, 0.0))


def test_points_outside_and_rays_that_fall_are_hints():
    start, _ = hints_of(bowl((0, 0), (1, 1)), at((0, 0), (2.5, 0)))
    assert start.x.tolist() == [[2.5, 0.0]]
    well = lowest_of(bowl((0, 0), (1, 1)), bowl((9, 9), (1, 1), 3))
    start, _ = hints_of(well, at((0, 0)))
    assert float((start.x[0] - 9).abs().max()) < 0.6  # the lowest first
    assert start.step[0].tolist() == [2.0, 2.0]


def test_points_of_no_energy_are_left_out():
    x = at((0, 0), (math.nan, 0), (1, 1))
    start, known = hints_of(bowl((0, 0), (1, 1)), x)
    assert len(start.x) == 0
    assert known.x.tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_minima_of_a_grid():
    grid = grid_over(at((-2, -2), (2, 2)), 41)
    energy = lowest_of(bowl((-1, 0.5), (0.3, 0.3)), bowl((1.5, 1.5), (0.3, 0.3), 1))
    found = grid_minima(grid, energy(torch.cartesian_prod(*grid.axes)))
    assert_close(found.x, at((1.5, 1.5), (-1, 0.5)))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_rays_leave_the_box_on_all_sides(d):
    rays = _rays(d)
    assert_close(rays[:, 0].abs().amax(1), torch.ones(len(rays)).double())
    assert_close(rays[:, -1], 16 * rays[:, 0])
    assert len({tuple(ray) for ray in rays[:, 0].tolist()}) == len(rays) == {1: 2, 2: 32, 3: 98}[d]


def test_searches_end_in_each_well_once_with_its_widths():
    energy = lowest_of(bowl((0.3, -0.2), (0.01, 0.5)), bowl((40, 30), (2, 0.1), 5))
    start = Hints(at((0.31, 0), (0.3, 0.1), (39, 28)), at((0.01, 0.01), (0.01, 0.01), (1, 1)))
    wells = find_wells(energy, LIKE, start, at(-1, -1), at(1, 1))
    assert_close(wells.x, at((40, 30), (0.3, -0.2)), atol=1e-3, rtol=0)
    ratio = wells.width / at((2, 0.1), (0.01, 0.5))  # a halving of the box's side, or at most it
    assert bool(((ratio >= 1) & (ratio < 2)).all())
    mass = 5 + (wells.width[0] * math.sqrt(2 * math.pi)).log().sum()
    assert float(wells.log_mass[0]) == pytest.approx(float(mass), abs=1e-6)
    assert not is_far(wells, at(-1, -1), at(1, 1)).any()


def test_a_search_that_never_ends_is_far():
    start = Hints(at((2, 0)), at((1, 1)))
    wells = find_wells(lambda x: -x[:, 0], LIKE, start, at(-1, -1), at(1, 1))
    assert is_far(wells, at(-1, -1), at(1, 1)).tolist() == [True]


def test_sites_follow_a_tilted_well_along_its_ridge():
    turn = at((0.6, 0.8), (-0.8, 0.6))

    def energy(x):
        return bowl((0, 0), (1e-2, 1))((x - 0.25) @ turn.T)

    start = Hints(at((0.25, 0.25)), at((0.01, 0.01)))
    sites = sites_of(energy, LIKE, find_wells(energy, LIKE, start, at(-5, -5), at(5, 5)))
    across, along = ((sites.centre - 0.25) @ turn.T).T
    assert float(across.abs().max()) < 0.05
    assert float(along.max()) == pytest.approx(4, abs=0.4)  # standard deviations
    assert float(along.min()) == pytest.approx(-4, abs=0.4)
    assert len(sites.centre) == 1 + 16
    assert float(sites.side.max()) < 4 * 4e-2
