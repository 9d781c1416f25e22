"""A trajectory by hand: where it turns, how long it is, how often each point is chosen."""

import itertools
import math

import pytest
import torch
from ebmcore_hmc import NUTS, Phase, leapfrog
from ebmcore_hmc.trajectory import Span, join, turns

from ebmcore import energy_and_score

DOUBLE = torch.float64
STEP = 0.4


def vectors(*rows):
    return torch.tensor(rows, dtype=DOUBLE)


def test_a_turn_by_hand_in_two_dimensions():
    """A span turns where an end's momentum is at a right angle, or more, to the sum of all."""
    east, north, west = vectors([1.0, 0.0]), vectors([0.0, 1.0]), vectors([-1.0, 0.0])
    assert not turns(east, north, east + north)
    assert turns(east, west, east + north + west)  # ρ = (0, 1): a right angle with both
    assert turns(east, west, 2 * north + west)
    assert turns(2 * west, north, east + north)  # by the first end alone
    assert turns(north, 2 * west, east + north)  # by the last


def test_a_turn_across_two_spans_that_neither_shows():
    """Each span goes on, and so do the ends of both, but not the first with its next neighbour."""
    one = Span(vectors([1.0, 0.0]), vectors([1.0, 0.0]), vectors([2.0, 0.0]))
    other = Span(vectors([-3.0, 1.0]), vectors([1.0, 1.0]), vectors([1.0, 5.0]))
    reverse = [Span(span.last, span.first, span.total) for span in (other, one)]
    for before, after in ((one, other), reverse):
        assert not turns(*before)
        assert not turns(*after)
        assert not turns(before.first, after.last, before.total + after.total)
        total, turned = join(before, after)
        assert total.tolist() == [[3.0, 5.0]]
        assert turned  # (1, 0)·((2, 0) + (-3, 1)) = -1
    assert not join(one, one)[1]


@pytest.mark.parametrize(("step_size", "depth"), [(0.15, 5), (0.3, 4), (0.6, 3)])
def test_how_long_it_is_on_a_standard_normal(step_size, depth):
    """In many dimensions p(0)·p(t) is cos t: 2^j points turn once (2^j - 1) ε reaches π."""
    assert (2 ** (depth - 1) - 1) * step_size < math.pi < (2**depth - 1) * step_size
    x = torch.randn(20, 4000, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    kernel = NUTS(step_size, warm_up=0)
    energy = lambda x: 0.5 * x.square().sum(1)  # noqa: E731
    noise = kernel.noise(x, torch.Generator().manual_seed(1))
    info = kernel.step(energy, kernel.init(energy, x), noise)[1]
    assert info.depth.tolist() == [depth] * 20
    assert info.n_leapfrog.tolist() == [2**depth - 1] * 20


@pytest.mark.parametrize("max_depth", [1, 3])
def test_where_nothing_turns_the_depth_ends_it(max_depth):
    kernel = NUTS(STEP, warm_up=0, max_depth=max_depth)
    x = torch.zeros(5, 2, dtype=DOUBLE)
    flat = lambda x: 0 * x.sum(1)  # noqa: E731
    info = kernel.step(flat, kernel.init(flat, x), kernel.noise(x, None))[1]
    assert info.depth.tolist() == [max_depth] * 5
    assert info.n_leapfrog.tolist() == [2**max_depth - 1] * 5
    assert (info.acceptance == 1).all()


def bent(x):
    """An energy on which leapfrog errs much, but does not turn soon."""
    z = x[:, 0]
    return 0.1 * z + torch.sin(3 * z) + 0.5 * (x[:, 1] - z).square()


def path(x, xi, n, sign):
    """Return the points of a leapfrog path from x, the start first, and their weights."""
    points = [Phase(x, xi, *energy_and_score(bent, x))]
    for _ in range(n):
        points.append(leapfrog(bent, points[-1], step_size=sign * STEP, mass=1.0, n_steps=1))
    energies = torch.stack([p.energy[0] + 0.5 * p.momentum[0].square().sum() for p in points])
    return [p.x[0] for p in points], (energies[0] - energies).exp()


GRID = 400  # values of each uniform number, evenly spaced


@pytest.mark.parametrize("sign", [1, -1])
def test_how_often_each_point_is_chosen(sign):
    """Three doublings in one direction, by the formulas and by a grid of the uniform numbers."""
    x, xi = vectors([-0.7, 0.2]), vectors([2.0, 1.5])
    points, w = path(x, xi, 7, sign)
    shares = torch.zeros(8, dtype=DOUBLE)
    shares[0], so_far = 1.0, w[0]
    for begin, end in ((1, 2), (2, 4), (4, 8)):
        there = w[begin:end]
        passes = (there.sum() / so_far).clamp(max=1)
        shares *= 1 - passes
        shares[begin:end] = passes * there / there.sum()
        so_far = so_far + there.sum()
    assert shares.min() > 0.005
    kernel = NUTS(STEP, warm_up=0, max_depth=3)
    even = (torch.arange(GRID, dtype=DOUBLE) + 0.5) / GRID
    # the last subtree: each way to pass to it, with each way to choose in it
    uniform = torch.zeros(GRID**2, 3, 3, dtype=DOUBLE)
    uniform[:, :, 0] = 0.25 if sign == 1 else 0.75
    uniform[:, 2, 1:] = torch.cartesian_prod(even, even)
    shuffled = torch.Generator().manual_seed(0)
    for depth in (0, 1):  # evenly, in an order of their own
        uniform[:, depth, 1] = (torch.randperm(GRID**2, generator=shuffled) + 0.5) / GRID**2
        uniform[:, depth, 2] = (torch.randperm(GRID**2, generator=shuffled) + 0.5) / GRID**2
    many = x.expand(GRID**2, 2)
    state, info = kernel.step(bent, kernel.init(bent, many), (xi.expand(GRID**2, 2), uniform))
    assert info.depth.tolist() == [3] * GRID**2
    nearest = torch.cdist(state.x, torch.stack(points))
    assert nearest.min(1).values.max() < 1e-6
    found = nearest.argmin(1).bincount(minlength=8) / GRID**2
    # 160,000 draws, of which the order of the first two doublings is at random
    stderr = (shares * (1 - shares) / GRID**2).sqrt()
    assert ((found - shares).abs() < 5 * stderr).all()
    error = -w.log()[nearest.argmin(1)]
    torch.testing.assert_close(info.energy_error, error)
    torch.testing.assert_close(info.acceptance[0], w[1:].clamp(max=1).mean())


def test_directions_lead_both_ways():
    """Forwards, backwards, forwards: 1 | -2 -1 | 2 … 5 of the start at 0, whatever is chosen."""
    x, xi = vectors([-0.7, 0.2]), vectors([2.0, 1.5])
    ahead, behind = path(x, xi, 5, 1)[0], path(x, xi, 2, -1)[0]
    kernel = NUTS(STEP, warm_up=0, max_depth=3)
    numbers = torch.rand(2000, 3, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    numbers[:, :, 0] = vectors([0.1, 0.9, 0.2])
    state, _ = kernel.step(
        bent, kernel.init(bent, x.expand(2000, 2)), (xi.expand(2000, 2), numbers)
    )
    allowed = torch.stack([*ahead, *behind[1:]])
    nearest = torch.cdist(state.x, allowed)
    assert nearest.min(1).values.max() < 1e-6
    assert set(range(2, 8)) <= set(nearest.argmin(1).tolist())  # the last four, and both behind


def walled(x):
    """E = x²/2 where x < 1, and beyond a wall not finite."""
    z = x[:, 0]
    return torch.where(z < 1, z.square() / 2, math.inf)


def test_a_path_that_diverges_ends_and_keeps_what_it_has():
    """From 0 by steps of .4 with p near 1: 1.2 is beyond the wall, so the subtree 2, 3 is lost."""
    kernel = NUTS(STEP, warm_up=0, max_depth=4)
    x = torch.zeros(300, 1, dtype=DOUBLE)
    numbers = torch.rand(300, 4, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    numbers[:, :, 0] = 0.1
    state, info = kernel.step(walled, kernel.init(walled, x), (torch.full_like(x, 1.3), numbers))
    assert (info.divergent == 1).all()
    assert (info.depth == 1).all()
    assert info.n_leapfrog.tolist() == [3] * 300 or info.n_leapfrog.tolist() == [2] * 300
    assert state.energy.isfinite().all()
    assert len(state.x.unique()) == 2  # the start and the first leaf


def test_a_chain_that_begins_at_a_wall_stays():
    kernel = NUTS(STEP, warm_up=0)
    x = torch.full((2, 1), 1.5, dtype=DOUBLE)
    state, info = kernel.step(walled, kernel.init(walled, x), kernel.noise(x, None))
    assert torch.equal(state.x, x)
    assert info.divergent.tolist() == [1.0, 1.0]
    assert not info.energy.isfinite().any()


def test_two_depths_of_one_noise():
    """The first doublings don't depend on how many there may be."""
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    few, many = NUTS(1.2, warm_up=0, max_depth=5), NUTS(1.2, warm_up=0, max_depth=9)
    energy = lambda x: 0.5 * x.square().sum(1)  # noqa: E731
    xi, uniform = many.noise(x, torch.Generator().manual_seed(1))
    ends = [
        kernel.step(energy, kernel.init(energy, x), (xi, uniform[:, : kernel.max_depth]))[0].x
        for kernel in (few, many)
    ]
    assert torch.equal(*ends)
    pairs = itertools.pairwise(uniform.flatten(1).unbind(1))
    assert not any(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("step_size", "depth"), [(0.6, 1), (0.3, 2)])
def test_a_subtree_that_turns_within_is_discarded(step_size, depth):
    """On N(0, 1) from x = 0 the momentum is cos t: its sign changes within leaves 2, 3 or 4 … 7."""
    kernel = NUTS(step_size, warm_up=0, max_depth=6)
    x = torch.zeros(200, 1, dtype=DOUBLE)
    numbers = torch.rand(200, 6, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    numbers[:, :, 0] = 0.1  # forwards
    energy = lambda x: 0.5 * x.square().sum(1)  # noqa: E731
    state, info = kernel.step(energy, kernel.init(energy, x), (torch.ones_like(x), numbers))
    assert info.depth.tolist() == [depth] * 200
    assert info.n_leapfrog.tolist() == [2 ** (depth + 1) - 1] * 200
    assert 1 < len(state.x.unique()) <= 2**depth
    assert state.x.max() < math.sin((2**depth - 0.5) * step_size)


def test_a_cooler_path_is_a_path_of_another_energy():
    """At T with the step ε it is that of E/T at 1 with the step ε √T, and the same noise."""
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    cool = NUTS(STEP, warm_up=0, temperature=0.25)
    warm = NUTS(STEP * math.sqrt(0.25), warm_up=0)
    noise = cool.noise(x, torch.Generator().manual_seed(1))
    colder = lambda x: bent(x) / 0.25  # noqa: E731
    found, info = cool.step(bent, cool.init(bent, x), noise)
    wanted, other = warm.step(colder, warm.init(colder, x), noise)
    torch.testing.assert_close(found.x, wanted.x)
    torch.testing.assert_close(info.acceptance, other.acceptance)
    torch.testing.assert_close(info.energy_error / 0.25, other.energy_error)
