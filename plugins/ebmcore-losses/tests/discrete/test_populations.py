"""The losses' population gradients, summed over all events: zero at the data's law alone.

The loss of each event by itself is weighted by its probability, so no draw is involved.
"""

import pytest
import torch
from ebmcore_losses import ConcreteScoreMatching, PseudoLikelihood, RatioMatching
from ebmcore_losses.discrepancy import discrepancy

EXACT = {
    "pseudo_likelihood": PseudoLikelihood,
    "ratio_matching": RatioMatching,
    "concrete_score_matching": lambda **space: ConcreteScoreMatching(epsilon=0.0, **space),
}


def population(lattice, loss, energy):
    """Return Σ p(x) loss(x), p the law of the data."""
    terms = [loss(energy, x[None], None) for x in lattice.x]
    return (lattice.p * torch.stack(terms)).sum()


def beside(x, k):
    """Return all events that differ from x in one number."""
    rows = []
    for site in range(len(x)):
        for value in range(k):
            if value != x[site]:
                rows.append(x.clone().index_fill(0, torch.tensor(site), value))
    return torch.stack(rows)


def by_formula(name, lattice, energy):
    """Return the population's loss from its definition, by the model's probabilities."""
    q = (-energy.values).softmax(0)
    q_of = lambda x: q[(x.long() * energy.places).sum(-1)]  # noqa: E731
    total = 0
    for x, p in zip(lattice.x, lattice.p, strict=True):
        others = beside(x, lattice.k)
        own, theirs = q_of(x), q_of(others)
        if name == "pseudo_likelihood":  # P(xᵢ | the others)
            each = theirs.reshape(len(x), -1).sum(1)
            total = total - p * (own / (own + each)).log().sum()
        elif name == "ratio_matching":
            total = total + p * (theirs / (own + theirs)).square().sum()
        else:
            data = torch.stack([lattice.p[(o.long() * energy.places).sum()] for o in others]) / p
            total = total + p * ((theirs / own - data).square() - data.square() - 2).sum()
    return total


@pytest.mark.parametrize("name", EXACT)
def test_the_gradient_is_zero_at_the_data_and_of_its_formula_elsewhere(name, lattice):
    loss, numbers = EXACT[name](space=lattice.space), lattice.x.shape[1]
    (at_truth,) = torch.autograd.grad(
        population(lattice, loss, lattice.energy), lattice.energy.values
    )
    assert at_truth.abs().max() < 1e-12
    other = lattice.table(lattice.k, numbers, seed=1)
    (slope,) = torch.autograd.grad(population(lattice, loss, other), other.values)
    (expected,) = torch.autograd.grad(by_formula(name, lattice, other), other.values)
    torch.testing.assert_close(slope, expected)
    assert slope.abs().max() > 1e-2
    if name == "concrete_score_matching":
        return  # up to a constant: Σ p (1 + data²) is not known to it
    torch.testing.assert_close(population(lattice, loss, other), by_formula(name, lattice, other))


@pytest.mark.parametrize("name", EXACT)
def test_some_sites_stand_for_all(name, lattice):
    loss = EXACT[name](space=lattice.space)
    x = lattice.x[5:6]
    generator = torch.Generator().manual_seed(0)
    loss.sites = 2
    some = torch.stack([loss(lattice.energy, x, generator) for _ in range(400)]).detach()
    loss.sites = None
    whole = loss(lattice.energy, x, None)
    assert some.std() > 0
    assert (some.mean() - whole).abs() < 5 * some.std() / 20


def test_a_grids_discrepancy_is_zero_at_the_data(lattice):
    """Each neighbour of the moved event is a sample once, and the event moves to each once."""

    def whole(energy):
        total = 0
        for x, p in zip(lattice.x, lattice.p, strict=True):
            moved = beside(x, lattice.k)
            origins = torch.stack([beside(y, lattice.k) for y in moved], 1)
            own = x.expand(len(moved), -1)
            total = total + p * discrepancy(energy, own, origins, stabiliser=0.0)
        return total

    (at_truth,) = torch.autograd.grad(whole(lattice.energy), lattice.energy.values)
    assert at_truth.abs().max() < 1e-12
    other = lattice.table(lattice.k, lattice.x.shape[1], seed=1)
    (slope,) = torch.autograd.grad(whole(other), other.values)
    assert slope.abs().max() > 1e-3


def test_changed_data_have_their_own_law(lattice):
    """Concrete scores with noise fit the law of changed data: within 5 standard errors."""
    epsilon, k, numbers = 0.2, lattice.k, lattice.x.shape[1]
    loss = ConcreteScoreMatching(epsilon=epsilon, space=lattice.space)
    differ = (lattice.x[:, None] != lattice.x).sum(2)
    change = (1 - epsilon) ** (numbers - differ) * (epsilon / (k - 1)) ** differ.double()
    energy, generator = lattice.table(k, numbers), torch.Generator().manual_seed(1)
    rows = {}
    for law in ("changed", "data"):
        energy.values.data = -(lattice.p @ change if law == "changed" else lattice.p).log()
        rows[law] = []
        for _ in range(150):
            drawn = lattice.p.multinomial(500, True, generator=generator)
            value = loss(energy, lattice.x[drawn], generator)
            rows[law].append(torch.autograd.grad(value, energy.values)[0])
    t = {law: torch.stack(r).mean(0) / torch.stack(r).std(0) * 150**0.5 for law, r in rows.items()}
    assert t["changed"].abs().max() < 5
    assert t["data"].abs().max() > 20
