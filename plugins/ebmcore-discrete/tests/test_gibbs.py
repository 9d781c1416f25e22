"""The heat baths leave exp(-E)/Z invariant: by their transition matrix, not by draws.

A step is a map of the state and uniform numbers, so the matrix follows from the thresholds on
which it acts: those are read from `conditional`, and held to `step` just beside them.
"""

import pytest
import torch
from ebmcore_discrete import RBM, BlockGibbs, Gibbs, Ising, Potts

from ebmcore import Binary, Categorical, given, sample_chain

CASES = {"bits": (2, (4,), Binary()), "a square": (2, (2, 2), Binary()),
         "categories": (3, (3,), Categorical(3))}  # fmt: skip


def case(exact, name):
    k, shape, space = CASES[name]
    x = exact.events(k, shape)
    x = x.long() if isinstance(space, Categorical) else x
    return exact.Table(k, torch.Size(shape).numel()), x, space


def index(x, k):
    places = k ** torch.arange(x[0].numel() - 1, -1, -1)
    return (x.flatten(1).long() * places).sum(1)


def one_site(kernel, energy, x, site):
    """Return the matrix of drawing one number anew, (events, events)."""
    sites = torch.full((len(x),), site)
    probabilities = kernel.conditional(energy, x, sites)
    matrix = torch.zeros(len(x), len(x), dtype=torch.float64)
    for value in range(kernel.values):
        after = x.flatten(1).clone()
        after[:, site] = value
        matrix[torch.arange(len(x)), index(after, kernel.values)] += probabilities[:, value]
    return matrix


@pytest.mark.parametrize("name", CASES)
def test_each_draw_and_each_scan_leave_the_law_invariant(name, exact):
    energy, x, space = case(exact, name)
    kernel, pi = Gibbs(space=space), exact.law(energy, x)
    sites = range(x[0].numel())
    matrices = [one_site(kernel, energy, x, site) for site in sites]
    systematic = torch.linalg.multi_dot(matrices)
    at_random = torch.stack(matrices).mean(0)
    for matrix in (*matrices, systematic, at_random):
        torch.testing.assert_close(matrix.sum(1), torch.ones_like(pi), rtol=0, atol=1e-12)
        torch.testing.assert_close(pi @ matrix, pi, rtol=0, atol=1e-12)
    flow = pi[:, None] * at_random
    torch.testing.assert_close(flow, flow.T, rtol=0, atol=1e-12)  # reversible
    assert (torch.linalg.matrix_power(systematic, 4096) - pi).abs().max() < 1e-9  # and ergodic


def test_each_chain_has_its_own_condition(exact):
    table, x, space = case(exact, "categories")
    y = torch.linspace(-1, 2, len(x)).double()
    kernel, sites = Gibbs(space=space), torch.arange(len(x)) % 3
    law = kernel.conditional(given(lambda x, y: y * table(x), y=y), x, sites)
    alone = [
        kernel.conditional(lambda x, t=t: t * table(x), x[i : i + 1], sites[i : i + 1])
        for i, t in enumerate(y)
    ]
    torch.testing.assert_close(law, torch.cat(alone))


@pytest.mark.parametrize(("scan", "draws"), [("systematic", None), ("random", None), ("random", 2)])
@pytest.mark.parametrize("name", CASES)
def test_a_step_turns_at_the_thresholds_of_these_matrices(name, scan, draws, seeded, exact):
    energy, x, space = case(exact, name)
    kernel = Gibbs(scan, draws=draws, space=space)
    noise = kernel.noise(x, seeded)
    assert noise[0].shape == (len(x), draws or x[0].numel())
    sites = noise[1] if scan == "random" else torch.arange(x[0].numel()).expand(len(x), -1)
    uniform = torch.rand(noise[0].shape, generator=seeded, dtype=torch.float64)
    for below in (True, False):
        expected = x.flatten(1).clone()
        for draw in range(draws or expected.shape[1]):
            site = sites[:, draw]
            ends = kernel.conditional(energy, expected.reshape(x.shape), site).cumsum(1)
            which = torch.randint(kernel.values - 1, (len(x),), generator=seeded)
            end = ends[torch.arange(len(x)), which]
            uniform[:, draw] = end - 1e-12 if below else end + 1e-12
            value = which if below else which + 1
            expected[torch.arange(len(x)), site] = value.to(x.dtype)
        state, info = kernel.step(energy, kernel.init(energy, x), (uniform, *noise[1:]))
        assert torch.equal(state.x.flatten(1), expected)
        assert state.x.dtype == x.dtype
        changed = (state.x != x).flatten(1).double().mean(1).float()
        torch.testing.assert_close(info.changed, changed)


FOUR = Categorical(4)
ON_GRAPHS = {"spins": lambda: (Ising(event_shape=(3, 3)), Binary()),
             "categories": lambda: (Potts(event_shape=(2, 4), space=FOUR), FOUR)}  # fmt: skip


@pytest.mark.parametrize("name", ON_GRAPHS)
def test_a_step_in_blocks_draws_each_site_given_the_others(name, seeded):
    energy, space = ON_GRAPHS[name]()
    for part in energy.double().parameters():
        part.data.normal_(generator=seeded)
    kernel, one = Gibbs("blocks", space=space), Gibbs(space=space)
    before = space.sample((200, *energy.event_shape), seeded, dtype=torch.float64)
    x, noise = before.flatten(1), kernel.noise(before, seeded)
    for block in energy.independent_sites.flatten(1):
        for site in block.nonzero()[:, 0]:
            law = one.conditional(energy, x.reshape(before.shape), site.expand(200))
            value = (noise[0][:, site, None] >= law.cumsum(1)[:, :-1]).sum(1, keepdim=True)
            x = x.scatter(1, site.expand(200, 1), value.to(x.dtype))
    state, info = kernel.step(energy, kernel.init(energy, before), noise)
    assert torch.equal(state.x.flatten(1), x)
    changed = (state.x != before).flatten(1).double().mean(1).float()
    torch.testing.assert_close(info.changed, changed)


def test_states_of_infinite_energy_are_left_and_never_entered():
    def energy(x):  # the sum is even
        return torch.where(x.sum(1) % 2 == 0, 0.0, torch.inf)

    odd = torch.tensor([[1.0, 0.0, 0.0]])
    p = Gibbs().conditional(energy, odd, torch.tensor([1]))
    assert p.tolist() == [[0, 1]]
    nowhere = Gibbs().conditional(
        lambda x: torch.full((len(x),), torch.inf), odd, torch.tensor([1])
    )
    assert nowhere.tolist() == [[0.5, 0.5]]


def machine():
    torch.manual_seed(1)
    return RBM(3, scale=1.0, event_shape=(4,)).double()


def test_the_blocks_matrix_leaves_the_law_of_the_visible_bits_invariant(exact):
    rbm, v, h = machine(), exact.events(2, (4,)), exact.events(2, (3,))

    def matrix(logits, to):
        """Return P(to | from) of independent bits with these log odds."""
        p = logits.flatten(1).sigmoid()[:, None]
        return (p * to + (1 - p) * (1 - to)).prod(2)

    with torch.no_grad():
        step = matrix(rbm.hidden_logits(v), h) @ matrix(rbm.visible_logits(h), v)
    pi = exact.law(rbm, v)
    torch.testing.assert_close(pi @ step, pi, rtol=0, atol=1e-12)
    flow = pi[:, None] * step
    torch.testing.assert_close(flow, flow.T, rtol=0, atol=1e-12)


def test_a_block_step_turns_at_these_probabilities(seeded, exact):
    rbm, v = machine(), exact.events(2, (4,))
    kernel = BlockGibbs(3)
    state = kernel.init(rbm, v)
    with torch.no_grad():
        h = torch.randint(2, (len(v), 3), generator=seeded).double()
        to = torch.randint(2, v.shape, generator=seeded).double()
        of_h = rbm.hidden_logits(v).sigmoid() + 1e-12 * (1 - 2 * h)
        of_v = rbm.visible_logits(h).sigmoid() + 1e-12 * (1 - 2 * to)
        state, info = kernel.step(rbm, state, (of_h, of_v))
    assert torch.equal(state.x, to)
    torch.testing.assert_close(info.changed, (to != v).double().mean(1).float())


@pytest.mark.parametrize("kernel", [BlockGibbs(3), Gibbs(), Gibbs("random")])
def test_long_chains_of_bits_have_the_law(kernel, seeded, exact):
    rbm, v = machine(), exact.events(2, (4,))
    x = sample_chain(
        kernel, rbm, space=Binary(), event_shape=(4,), n_chains=20_000, n_steps=25,
        generator=seeded,
    )  # fmt: skip
    counts, expected = torch.bincount(index(x, 2), minlength=16), 20_000 * exact.law(rbm, v)
    assert ((counts - expected).abs() < 5 * expected.sqrt()).all()


def test_chains_start_and_stay_in_their_space(seeded, exact):
    energy, _, space = case(exact, "categories")
    options = {"event_shape": (3,), "n_chains": 50, "n_steps": 2, "generator": seeded}
    x = sample_chain(Gibbs(space=space), energy, space=space, **options)
    assert x.dtype == torch.int64
    space.check(x)
    with pytest.raises(ValueError, match="moves in binary events, and the space is categorical"):
        sample_chain(BlockGibbs(3), energy, space=space, **options)
    with pytest.raises(ValueError, match=r"is 0\.5, but binary events hold"):
        sample_chain(Gibbs(), energy, torch.full((2, 3), 0.5), space=Binary())
    with pytest.raises(ValueError, match=r"Gibbs\(space=ebmcore.Categorical\(k\)\)"):
        sample_chain(Gibbs(), energy, torch.zeros(2, 3).long())


def test_steps_compute_nothing_on_the_meta_device():
    rbm = RBM(3, event_shape=(2, 2)).to("meta")
    x = torch.zeros(5, 2, 2, device="meta")
    for kernel in (BlockGibbs(3), Gibbs(), Gibbs("random")):
        state, info = kernel.step(rbm, kernel.init(rbm, x), kernel.noise(x, None))
        assert (state.x.shape, info.changed.shape) == ((5, 2, 2), (5,))


def test_misuse_is_refused(exact):
    rbm = machine()
    with pytest.raises(ValueError, match="hidden = 4, and the energy has 3 hidden bits"):
        BlockGibbs(4).init(rbm, torch.zeros(1, 4).double())
    with pytest.raises(ValueError, match=r"offer `hidden_logits`.*Table doesn't: use gibbs"):
        BlockGibbs(4).init(exact.Table(2, 4), torch.zeros(1, 4).double())
    with pytest.raises(ValueError, match="one value per chain, shape"):
        sample_chain(Gibbs(), lambda x: x, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="systematic, random or blocks; got 'sweep'"):
        Gibbs("sweep")
    with pytest.raises(ValueError, match="draws is for scan: random; scan: systematic draws each"):
        Gibbs(draws=3)
    with pytest.raises(ValueError, match="as ising and potts do; RBM doesn't"):
        Gibbs("blocks").init(rbm, torch.zeros(1, 4).double())
