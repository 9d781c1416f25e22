"""Ising's log Z by two ways and against published values, its draws, its conditionals."""

import pytest
import torch
from ebmcore_discrete import Gibbs, Ising
from ebmcore_discrete.graphs.edges import independent_sets, lattice, random
from ebmcore_discrete.graphs.elimination import Elimination, elimination_order

from ebmcore import Binary

LOG_Z = {(4, 4, 0.2): 14.5611, (8, 8, 0.1): 47.0101, (8, 8, 0.2): 56.5994,
         (8, 8, 0.25): 66.3446, (10, 10, 0.1): 73.4531}  # fmt: skip


def spins(shape, seed=0, **keys):
    ising = Ising(event_shape=shape, **keys).double()
    with torch.no_grad():
        for part in (ising.couplings.values, ising.field):
            part.normal_(0, 0.5, generator=torch.Generator().manual_seed(seed))
    return ising


@pytest.mark.parametrize("case", LOG_Z)
def test_log_z_of_five_tori(case):
    ising = Ising(sigma=case[2], learns="none", field=False, event_shape=case[:2])
    assert ising.log_z().item() == pytest.approx(LOG_Z[case], abs=1e-4)
    assert not list(ising.parameters())


def test_log_z_by_sequential_monte_carlo(seeded):
    estimators = pytest.importorskip("ebmcore_estimators")
    ising = Ising(sigma=0.1, learns="none", field=False, event_shape=(8, 8))
    base = estimators.Uniform((8, 8), Binary())
    found = estimators.smc(ising, base, n=1024, kernel=Gibbs("blocks"), generator=seeded)
    assert found.standard_error < 0.0125  # a fourth of .05
    assert abs(found.log_z - LOG_Z[8, 8, 0.1]) < 4 * found.standard_error


def test_the_energy_counts_each_edge_twice(exact):
    ising, x = spins((3, 4)), exact.events(2, (12,)).reshape(-1, 3, 4)
    s = 2 * x - 1
    with torch.no_grad():
        matrix, pairs = ising.matrix().reshape(3, 4, 3, 4), 0
        for i in range(3):
            for j in range(4):
                down, right = matrix[i, j, (i + 1) % 3, j], matrix[i, j, i, (j + 1) % 4]
                pairs = pairs + 2 * down * s[:, i, j] * s[:, (i + 1) % 3, j]
                pairs = pairs + 2 * right * s[:, i, j] * s[:, i, (j + 1) % 4]
        expected = -pairs - s.flatten(1) @ ising.field
        torch.testing.assert_close(ising(x), expected)


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (5, 2), (2, 5), (2, 2), (1, 5), (6,), (2,)])
def test_the_transfer_matrix_gives_the_sum_over_all(shape, exact):
    ising = spins(shape)
    both = [ising.log_z(), ising._transfer().log_z()]
    torch.testing.assert_close(*both, rtol=1e-13, atol=1e-13)
    slopes = [torch.autograd.grad(log_z, ising.couplings.values)[0] for log_z in both]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("keys", [{"graph": "random", "degree": 3.0}, {"learns": "all"}, {}])
def test_elimination_gives_the_sum_over_all(keys):
    ising = spins((3, 4), **keys)
    order = elimination_order(ising.couplings.edges, 12)
    both = [ising.log_z(), Elimination(ising.field, ising.matrix(), order).log_z()]
    torch.testing.assert_close(*both, rtol=1e-13, atol=1e-13)
    slopes = [torch.autograd.grad(log_z, list(ising.parameters())) for log_z in both]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("learns", ["edges", "all"])
def test_site_logits_are_the_conditionals(learns, exact):
    ising, x = spins((2, 3), learns=learns), exact.events(2, (2, 3))
    with torch.no_grad():
        logits = ising.site_logits(x).flatten(1, 2)
        for site in range(6):
            low, high = (x.flatten(1).index_fill(1, torch.tensor(site), v) for v in (0, 1))
            odds = ising(low.reshape(x.shape)) - ising(high.reshape(x.shape))
            torch.testing.assert_close(logits[:, site, 1] - logits[:, site, 0], odds)


@pytest.mark.parametrize("case", [(3, 4), (4, 3), (22,), (5, 6)])
def test_draws_are_exact(case, seeded, monkeypatch):
    ising, n = spins(case, graph="random" if case == (5, 6) else "lattice"), 40_000
    if case in ((3, 4), (4, 3)):  # by rows, though so few could be added up
        monkeypatch.setattr("ebmcore_discrete.ising.MOST_EVENTS", 2)
    s = 2 * ising.sample(n, seeded).flatten(1) - 1
    (by_field,) = torch.autograd.grad(ising._large().log_z(), ising.field)
    (by_edge,) = torch.autograd.grad(ising._large().log_z(), ising.couplings.values)
    i, j = ising.couplings.edges
    for found, expected in ((s, by_field), (s[:, i] * s[:, j], by_edge / 2)):
        error = ((1 - expected.square()).clamp(min=1e-9) / n).sqrt()
        assert ((found.mean(0) - expected).abs() < 5 * error).all()


def test_graphs_are_tori_or_drawn_by_their_seed():
    assert lattice((4, 4)).shape == (2, 32)
    assert lattice((2, 3)).shape == (2, 9)  # 3 + 6: two rows touch once
    assert lattice((1,)).shape == (2, 0)
    drawn = [random(100, 2.0, seed).shape[1] for seed in range(20)]
    mean, spread = sum(drawn) / 20, (100 / 20) ** 0.5  # of about 100 edges, Poisson
    assert abs(mean - 100) < 4 * spread
    assert torch.equal(random(100, 2.0, 3), random(100, 2.0, 3))
    assert not torch.equal(
        random(100, 2.0, 3), random(100, 2.0, 4)[:, : random(100, 2.0, 3).shape[1]]
    )
    assert independent_sets(lattice((4, 6)), 24).shape[0] == 2
    edges = random(40, 4.0, 0)
    sets = independent_sets(edges, 40)
    assert (sets.sum(0) == 1).all()
    assert not (sets[:, edges[0]] & sets[:, edges[1]]).any()


def test_normal_strengths_are_drawn_by_the_graphs_seed():
    one, same, other = (
        Ising("random", sigma=0.5, strengths="normal", degree=20, seed=seed, event_shape=(200,))
        .couplings.values.detach() for seed in (1, 1, 2)
    )  # fmt: skip
    assert torch.equal(one, same)
    n = min(len(one), len(other))
    assert abs(one.mean()) < 5 * 0.5 / n**0.5
    assert abs(one.std() - 0.5) < 5 * 0.5 / (2 * n) ** 0.5
    assert abs((one[:n] * other[:n]).mean()) < 5 * 0.25 / n**0.5


def test_all_pairs_begin_at_the_graphs_couplings():
    ising, full = (Ising(sigma=0.3, learns=of, event_shape=(3, 3)) for of in ("edges", "all"))
    torch.testing.assert_close(ising.matrix(), full.matrix())
    assert (ising.couplings.values.numel(), full.couplings.values.numel()) == (18, 36)


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="transfer matrix takes a lattice of one or two"):
        Ising(learns="all", event_shape=(30,)).log_z()
    with pytest.raises(ValueError, match="shorter side has at most 12"):
        Ising(event_shape=(13, 13)).log_z()
    with pytest.raises(ValueError, match=r"should have shape \(3, 3\); got \(9,\)"):
        Ising(event_shape=(3, 3))(torch.zeros(1, 9))
    with pytest.raises(ValueError, match="graph should be lattice or random; got 'ring'"):
        Ising("ring", event_shape=(3,))
    with pytest.raises(ValueError, match="learns should be edges, all or none; got 'some'"):
        Ising(learns="some", event_shape=(3,))
    with pytest.raises(ValueError, match="strengths should be equal or normal; got 'uniform'"):
        Ising(strengths="uniform", event_shape=(3,))
    with pytest.raises(ValueError, match="degree should be at most 2"):
        Ising("random", degree=3, event_shape=(3,))
