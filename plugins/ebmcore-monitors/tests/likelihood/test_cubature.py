import math

import pytest
import torch
from ebmcore_monitors.likelihood.cubature import (
    Boxes,
    Known,
    Sites,
    _rule,
    around_sites,
    cubature,
    touch,
)


def no_sites(d):
    return Sites(*[torch.zeros(0, d, dtype=torch.float64)] * 3)


def nothing_known(d):
    return Known(torch.zeros(0, d, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))


def one_box(*ends):
    low, high = torch.tensor(ends, dtype=torch.float64).T
    return Boxes(low[None], high[None])


def integrate(energy, boxes, sites=None, known=None, tolerance=1e-6, budget=2**20):
    d = boxes.low.shape[1]
    like = torch.zeros(1, d, dtype=torch.float64)
    sites, known = sites or no_sites(d), known or nothing_known(d)
    return cubature(energy, like, boxes, sites, known, tolerance, budget)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_rules_are_exact_up_to_their_degrees(d):
    points, weights = _rule(d)
    for axis in range(d):
        for column in range(2 * d + 1):
            degree = {axis + 1: 5, axis + 1 + d: 3}.get(column, 9)  # Lobatto, the third, Kronrod
            for power in range(degree + 2):
                value = float((weights[:, column] * points[:, axis] ** power).sum())
                exact = 2.0 ** (d - 1) * (2 / (power + 1) if power % 2 == 0 else 0.0)
                assert (abs(value - exact) < 1e-13) is (power <= degree), (axis, column, power)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_tilted_gaussian_to_the_tolerance(d):
    root = 0.5 * torch.eye(d, dtype=torch.float64)
    root[0, -1] += 0.3
    precision = torch.linalg.inv(root @ root.T)

    def energy(x):
        return 500 + 0.5 * torch.einsum("bi,ij,bj->b", x - 0.37, precision, x - 0.37)

    expected = 0.5 * torch.logdet(2 * math.pi * root @ root.T).item() - 500
    for tolerance in (1e-2, 1e-4):
        found = integrate(energy, one_box(*[(-8, 9)] * d), tolerance=tolerance)
        assert abs(math.expm1(found.log_z - expected)) <= found.error <= tolerance


def test_evaluations_stay_within_the_budget():
    evaluated = []

    def energy(x):
        evaluated.append(len(x))
        return 50 * (x[:, 0] - x[:, 1]).abs()

    found = integrate(energy, one_box((-1, 1), (-1, 1)), tolerance=1e-12, budget=49 * 101)
    assert 49 * 95 < sum(evaluated) <= 49 * 101
    assert found.error > 1e-12


def test_boxes_are_short_at_sites_alone():
    sites = Sites(*(torch.tensor([part]).double() for part in ([0.3, 0.0], [0.1, 0.2], [0.05, 1])))
    boxes, reached = around_sites(one_box((-1, 1), (-1, 1)), sites, 1000)
    sides = boxes.high - boxes.low
    near = touch(boxes, sites)
    assert reached
    assert bool((sides[near] <= torch.tensor([0.05, 1.0])).all())
    assert float(sides[~near].amax()) > 0.5
    assert float(sides.prod(1).sum()) == pytest.approx(4, abs=1e-12)  # nothing lost, nothing twice
    assert not around_sites(one_box((-1, 1), (-1, 1)), sites, 20)[1]


def test_a_known_point_that_no_box_saw_is_refined():
    def energy(x):  # half of the mass in a spike that no first point touches
        spike = -0.5 * ((x[:, 0] - 0.123) / 1e-4).square() - math.log(1e-4)
        return -torch.logaddexp(-0.5 * x[:, 0].square(), spike)

    box, at = one_box((-8, 8)), torch.tensor([[0.1231]], dtype=torch.float64)
    blind, seen = integrate(energy, box), integrate(energy, box, known=Known(at, -energy(at)))
    expected = math.log(2 * math.sqrt(2 * math.pi))
    assert abs(blind.log_z - expected) > 0.6
    assert abs(seen.log_z - expected) <= seen.error <= 1e-6
    few = integrate(energy, box, known=Known(at, -energy(at)), budget=7 * 6)
    assert abs(few.log_z - expected) <= -math.log1p(-min(few.error, 0.999))
