"""Gibbs with gradients, DMALA and DULA on five energies of 2^8 events: their transition matrices.

One step of all pairs of events, with the uniform numbers that lead from one to the other, gives a
kernel's matrix; it is held against one of the papers' formulas, and against the law.
"""

import pytest
import torch
from ebmcore_discrete import DMALA, DULA, RBM, GibbsWithGradients, Ising, Potts

from ebmcore import Binary, Categorical, given, sample_chain

FOUR = Categorical(4)
STEP = 0.7


def scattered(energy):
    with torch.no_grad():
        for i, part in enumerate(energy.double().parameters()):
            part.normal_(0, 0.5, generator=torch.Generator().manual_seed(i))
    return energy


ENERGIES = {
    "ising": lambda exact: (scattered(Ising(event_shape=(2, 4))), Binary()),
    "rbm": lambda exact: (scattered(RBM(5, event_shape=(8,))), Binary()),
    "net": lambda exact: (exact.Net(8), Binary()),
    "potts": lambda exact: (scattered(Potts(event_shape=(2, 2), space=FOUR)), FOUR),
    "net of categories": lambda exact: (exact.Net(4, FOUR), FOUR),
}


class Case:
    """All 256 events of an energy, its law, and the formulas of the proposals."""

    def __init__(self, exact, name):
        self.energy, self.space = ENERGIES[name](exact)
        shape = getattr(self.energy, "event_shape", (8,) if self.space == Binary() else (4,))
        self.k = 2 if self.space == Binary() else 4
        self.x = exact.events(self.k, shape)
        self.x = self.x if self.k == 2 else self.x.long()
        self.pi = exact.law(self.energy, self.x)
        self.log_p = self.pi.log()
        self.values = self.x.flatten(1).long()  # (256, numbers)
        self.sites = self.values.shape[1]
        self.delta = self._delta()  # (256, numbers, k)

    def _delta(self):
        at = self.x if self.k == 2 else torch.nn.functional.one_hot(self.x, 4).double()
        gradient = torch.autograd.functional.jacobian(lambda x: self.energy(x).sum(), at)
        delta = torch.zeros(256, self.sites, self.k, dtype=torch.float64)
        for v in range(self.k):
            if self.k == 2:
                delta[..., v] = -gradient.flatten(1) * (v - self.values)
            else:
                to, now = (gradient.flatten(1, -2).gather(2, i[..., None])[..., 0]
                           for i in (torch.full_like(self.values, v), self.values))  # fmt: skip
                delta[..., v] = now - to
        return delta

    def langevin(self):
        """Return q(x' | x) of all pairs, and each number's probabilities, (256, numbers, k)."""
        moves = (torch.arange(self.k) != self.values[..., None]).double()
        squared = moves * (1.0 if self.k == 2 else 2.0)
        each = (0.5 * self.delta - squared / (2 * STEP)).softmax(2)
        return torch.stack([each[:, i, self.values[:, i]] for i in range(self.sites)]).prod(0), each

    def single(self):
        """Return q(x' | x) of one number changed, and the flat probabilities, (256, numbers·k)."""
        weights = (0.5 * self.delta).exp() * (torch.arange(self.k) != self.values[..., None])
        each = weights / weights.sum((1, 2), keepdim=True)
        differ = self.values[:, None] != self.values  # (256, 256, numbers)
        picked = torch.stack([each[:, i, self.values[:, i]] for i in range(self.sites)], 2)
        return torch.where(differ.sum(2) == 1, (picked * differ).sum(2), 0.0), each.flatten(1)

    def adjusted(self, q):
        """Return the matrix of Metropolis and Hastings for a proposal."""
        flow = self.pi[:, None] * q
        ratio = torch.where(flow > 0, flow.T / flow, 0.0)
        return self.filled(q * ratio.clamp(max=1))

    def filled(self, matrix):
        matrix = matrix.clone().fill_diagonal_(0)
        return matrix + torch.diag(1 - matrix.sum(1))

    def step(self, kernel, rows, noise):
        state = kernel.init(self.energy, self.x[rows])
        return kernel.step(self.energy, state, noise)

    def index(self, x):
        return (x.flatten(1).long() * self.k ** torch.arange(self.sites - 1, -1, -1)).sum(1)


def middle(probabilities, index):
    """Return the uniform numbers in the middle of those that choose an index."""
    ends = probabilities.cumsum(-1)
    end, own = (part.gather(-1, index[..., None])[..., 0] for part in (ends, probabilities))
    return end - own / 2


@pytest.fixture(params=ENERGIES)
def case(request, exact):
    return Case(exact, request.param)


FROM, TO = (part.flatten() for part in torch.meshgrid(*[torch.arange(256)] * 2, indexing="ij"))


def require_law(case, found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(case.pi @ found, case.pi, rtol=0, atol=1e-12)
    flow = case.pi[:, None] * found
    torch.testing.assert_close(flow, flow.T, rtol=0, atol=1e-12)  # reversible
    assert (found.diagonal() < 1).all()


def test_gibbs_with_gradients_leaves_the_law_invariant(case):
    kernel, (q, each) = GibbsWithGradients(space=case.space), case.single()
    rows, pick = (part.flatten() for part in torch.meshgrid(
        torch.arange(256), torch.arange(each.shape[1]), indexing="ij"))  # fmt: skip
    there = each[rows, pick] > 0
    rows, pick = rows[there], pick[there]
    uniform = middle(each[rows], pick)
    state, info = case.step(kernel, rows, (uniform, torch.zeros_like(uniform)))
    found = torch.zeros(256, 256, dtype=torch.float64)
    found[rows, case.index(state.x)] += each[rows, pick] * info.acceptance
    require_law(case, case.filled(found), case.adjusted(q))
    for sign in (-1, 1):  # the turn between two picks, and that between kept and not
        last = each[rows].cumsum(1).gather(1, pick[:, None])[:, 0]
        inner = last < 1 - 1e-9
        at = (last + sign * 1e-12)[inner]
        beside = case.step(kernel, rows[inner], (at, torch.zeros_like(at)))[0].x
        following = (each[rows].cumsum(1) > (last + 1e-12)[:, None]).int().argmax(1)
        wanted = torch.where(torch.tensor(sign < 0), pick, following)[inner]
        expected = case.values[rows[inner]].scatter(
            1, wanted[:, None] // case.k, wanted[:, None] % case.k
        )
        assert torch.equal(beside.flatten(1).long(), expected)
    require_turn(case, kernel, rows, (uniform,), info, state.x)


def require_turn(case, kernel, rows, proposal, info, x):
    """Hold `accepted` to the info's acceptance, just beside it, and what is left to the old x."""
    for side, kept in ((-1e-12, True), (1e-12, False)):
        state, beside = case.step(kernel, rows, (*proposal, info.acceptance + side))
        assert (beside.accepted == kept).all()
        assert torch.equal(state.x, x if kept else case.x[rows])
        again = kernel.init(case.energy, state.x)
        torch.testing.assert_close(state, again)


def test_dmala_leaves_the_law_invariant(case):
    kernel, (q, each) = DMALA(STEP, space=case.space), case.langevin()
    uniform = middle(each[FROM], case.values[TO])
    state, info = case.step(kernel, FROM, (uniform, torch.zeros(len(FROM)).double()))
    assert torch.equal(case.index(state.x), TO)
    found = case.filled(q * info.acceptance.reshape(256, 256))
    require_law(case, found, case.adjusted(q))
    some = slice(None, None, 97)
    ends = info._replace(acceptance=info.acceptance[some])
    require_turn(case, kernel, FROM[some], (uniform[some],), ends, state.x[some])


def test_dula_has_the_law_of_its_own_matrix(case, seeded):
    kernel, (q, each) = DULA(STEP, space=case.space), case.langevin()
    uniform = middle(each[FROM], case.values[TO])
    state, info = case.step(kernel, FROM, (uniform,))
    assert torch.equal(case.index(state.x), TO)  # so its matrix is q
    differ = (case.values[FROM] != case.values[TO]).double().mean(1)
    torch.testing.assert_close(info.changed, differ)
    torch.testing.assert_close(q.sum(1), torch.ones(256).double())
    own = torch.linalg.matrix_power(q, 2**14)[0]
    x = sample_chain(
        kernel, case.energy, case.x[own.multinomial(20_000, True, generator=seeded)],
        n_steps=3, generator=seeded, space=case.space,
    )  # fmt: skip
    values = case.energy(case.x).detach()
    spread = (own @ values.square() - (own @ values).square()).sqrt()
    gap = case.energy(x).mean() - own @ values
    assert gap.abs() < 5 * spread / 20_000**0.5
    assert (own - case.pi).abs().sum() > 1e-3  # and that isn't exp(-E)


def test_dula_turns_at_these_probabilities(case, seeded):
    kernel, each = DULA(STEP, space=case.space), case.langevin()[1]
    rows = torch.arange(256)
    pick = torch.randint(case.k - 1, case.values.shape, generator=seeded)
    end = each.cumsum(2).gather(2, pick[..., None])[..., 0]
    for side, expected in ((-1e-12, pick), (1e-12, pick + 1)):
        found = case.step(kernel, rows, (end + side,))[0].x.flatten(1).long()
        assert torch.equal(found, expected)


def test_each_chain_has_its_own_condition(exact):
    net, x = exact.Net(8), exact.events(2, (8,))[:6]
    y = torch.linspace(0.5, 2, 6).double()
    for kernel in (GibbsWithGradients(), DMALA(STEP), DULA(STEP)):
        noise = kernel.noise(x, torch.Generator().manual_seed(1))
        together = given(lambda x, y: y * net(x), y=y)
        end = kernel.step(together, kernel.init(together, x), noise)[0]
        for i, t in enumerate(y):
            alone = lambda x, t=t: t * net(x)  # noqa: E731
            part = tuple(of[i : i + 1] for of in noise)
            one = kernel.step(alone, kernel.init(alone, x[i : i + 1]), part)[0]
            torch.testing.assert_close(one.energy[0], end.energy[i])
            assert torch.equal(one.x[0], end.x[i])


def test_an_infinite_energy_is_never_entered():
    def walled(x):
        return torch.where(x.sum(1) > 1.5, torch.inf, x.sum(1))

    x = torch.zeros(200, 4)
    for kernel in (GibbsWithGradients(), DMALA(5.0)):
        end = sample_chain(kernel, walled, x, n_steps=20, space=Binary(),
                           generator=torch.Generator().manual_seed(0))  # fmt: skip
        assert (end.sum(1) < 1.5).all()
        assert (end != x).any()


def test_categories_that_the_energy_takes_only_whole_are_refused(exact):
    table, x = exact.Table(3, 2), exact.events(3, (2,)).long()
    with pytest.raises(ValueError, match=r"one-hot events, \(chains, \*event, 3\), and Table"):
        sample_chain(DMALA(space=Categorical(3)), table, x)
    with pytest.raises(ValueError, match=r"give it space=ebmcore.Categorical\(k\)"):
        sample_chain(GibbsWithGradients(), table, x)
