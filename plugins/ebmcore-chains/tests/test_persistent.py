import copy
import json
import math

import pytest
import torch
from ebmcore_chains import Persistent

from ebmcore import Start

BOUNDS = torch.tensor([[-1.0, 10.0, 5.0], [1.0, 30.0, 5.0]])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=8, dtype=torch.float32):
    return torch.randn(n, 3, generator=seeded(99), dtype=dtype)


def marked(size=20, **keys):
    """Chains of which each holds its own slot's number."""
    chains = Persistent(size, init="normal", **keys)
    numbers = torch.arange(float(size))[:, None].expand(size, 3)
    chains.load_state_dict({"buffer": numbers})
    return chains


def test_without_bounds_persistent_chains_begin_over_the_batch():
    x = batch()
    chains = Persistent(1000)
    chains.start(x, seeded())
    kept = chains.kept().x
    assert (kept >= x.amin(0)).all()
    assert (kept <= x.amax(0)).all()
    assert (kept.amax(0) - kept.amin(0) > 0.9 * (x.amax(0) - x.amin(0))).all()


def test_a_subset_holds_no_chain_twice_and_reaches_all():
    chains, generator = marked(), seeded()
    seen = set()
    for _ in range(50):
        drawn = chains.start(batch(), generator).x[:, 0].tolist()
        assert len(set(drawn)) == 8
        seen.update(drawn)
    assert seen == set(range(20))
    assert sorted(chains.start(batch(20), generator).x[:, 0].tolist()) == list(range(20))


@pytest.mark.parametrize("n", [1, 8, 20])
def test_chains_go_back_to_the_slots_they_came_from(n):
    chains, generator = marked(), seeded()
    moves = torch.zeros(20)
    for _ in range(30):
        start = chains.start(batch(n), generator).x
        slots = start[:, 0].long() % 20
        moves[slots] += 1
        chains.keep(Start((start + 20).requires_grad_()))
        expected = torch.arange(20.0) + 20 * moves
        assert torch.equal(chains.kept().x, expected[:, None].expand(20, 3))
        assert not chains.kept().x.requires_grad


@pytest.mark.parametrize("n", [1, 8, 20])
def test_only_keep_changes_what_is_kept(n):
    chains, generator = marked(reinit=0.0), seeded()
    before = chains.kept().x
    start = chains.start(batch(n), generator).x
    start.fill_(-1)
    assert torch.equal(chains.kept().x, before)
    chains.kept().x.fill_(-2)
    chains.state_dict()["buffer"].fill_(-3)
    assert torch.equal(chains.kept().x, before)
    end = torch.full((n, 3), 7.0)
    chains.keep(Start(end))
    end.fill_(-4)
    assert chains.kept().x.min() >= 0
    assert (chains.kept().x == 7).all(1).sum() >= n


def test_data_chains_begin_at_a_copy_of_the_batch():
    x = torch.arange(4.0)[:, None].expand(4, 3).clone()
    chains = Persistent(500, init="data")
    chains.start(x, seeded())
    kept = chains.kept().x
    assert set(kept[:, 0].tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert (kept == kept[:, :1]).all()
    x.fill_(9)
    assert torch.equal(chains.kept().x, kept)


def test_reinit_one_restarts_all_from_the_start_distribution():
    far = torch.full((20, 3), 1e6)
    x = batch()
    for init in ("uniform", "normal", "data"):
        chains = Persistent(20, init=init, reinit=1.0, scale=2.0, data_range=BOUNDS)
        chains.load_state_dict({"buffer": far})
        start = chains.start(x, seeded()).x
        if init == "uniform":
            assert ((start >= BOUNDS[0]) & (start <= BOUNDS[1])).all()
        elif init == "data":
            assert all((row == x).all(1).any() for row in start)
        else:
            assert (start.abs() < 2 * 6).all()
        assert torch.equal(chains.kept().x, far)


def test_reinit_hits_its_rate_and_restarts_whole_chains():
    n, rate = 20_000, 0.05
    chains = Persistent(n, init="normal", reinit=rate)
    chains.load_state_dict({"buffer": torch.full((n, 3), 1e6)})
    again = chains.start(torch.zeros(n, 3), seeded()).x < 1e5
    assert torch.equal(again.all(1), again.any(1))
    share = again.any(1).double().mean().item()
    assert abs(share - rate) < 5 * math.sqrt(rate * (1 - rate) / n)


def test_a_restarted_chain_replaces_the_old_one():
    chains, generator = marked(reinit=0.5), seeded()
    for _ in range(40):
        chains.keep(Start(chains.start(batch(), generator).x.clone() * 0 + 5))
    assert (chains.kept().x == 5).all()


def test_reinit_zero_never_restarts():
    chains, generator = marked(), seeded()
    for _ in range(20):
        chains.keep(Start(chains.start(batch(), generator).x))
    assert torch.equal(chains.kept().x[:, 0], torch.arange(20.0))


@pytest.mark.parametrize("shape", [(), (2,), (3, 4), (2, 3, 4)])
def test_any_event_shape(shape):
    chains = Persistent(9, init="normal", reinit=0.5)
    start = chains.start(torch.zeros(4, *shape), seeded()).x
    assert start.shape == (4, *shape)
    chains.keep(Start(start))
    assert chains.kept().x.shape == (9, *shape)


def test_a_resumed_state_goes_on_identically():
    chains, generator = Persistent(20, reinit=0.3, data_range=BOUNDS), seeded()
    for _ in range(5):
        chains.keep(Start(chains.start(batch(), generator).x + 1))
    end = chains.start(batch(), generator).x + 1  # saved between start and keep
    state = copy.deepcopy(chains.state_dict())
    assert all(isinstance(v, torch.Tensor) or json.dumps(v) for v in state.values())
    resumed, other = Persistent(20, reinit=0.3, data_range=BOUNDS), seeded()
    resumed.load_state_dict(state)
    other.set_state(generator.get_state())
    for one, stream in ((chains, generator), (resumed, other)):
        one.keep(Start(end))
        for _ in range(5):
            one.keep(Start(one.start(batch(), stream).x + 1))
    assert torch.equal(chains.kept().x, resumed.kept().x)
    resumed.keep(Start(torch.zeros(8, 3)))
    assert not torch.equal(chains.kept().x, resumed.kept().x)


def test_a_state_before_the_first_start_is_empty():
    chains = Persistent(20)
    assert chains.state_dict() == {}
    assert chains.kept() is None
    used = marked()
    used.load_state_dict({})
    assert used.kept() is None


def test_chains_follow_the_dtype_of_the_batch():
    chains = marked()
    assert chains.start(batch(dtype=torch.float64), seeded()).x.dtype == torch.float64
    chains.keep(Start(torch.ones(8, 3)))
    assert chains.kept().x.dtype == torch.float64


def test_what_persistent_chains_refuse():
    with pytest.raises(ValueError, match=r"a batch of 8 .* there are 5: make size at least 8"):
        Persistent(5).start(batch(), None)
    with pytest.raises(ValueError, match="keep was called before start"):
        Persistent(5).keep(Start(batch()))
    with pytest.raises(ValueError, match="keep was called before start"):
        marked().keep(Start(batch()))
    chains = marked()
    chains.start(batch(), None)
    with pytest.raises(ValueError, match=r"last start, shape \(8, 3\); got \(7, 3\)"):
        chains.keep(Start(batch(7)))
    with pytest.raises(ValueError, match=r"events of shape \(3,\); got a batch of \(2,\)"):
        chains.start(torch.zeros(4, 2), None)
    with pytest.raises(ValueError, match="holds 20 chains, but size is 21"):
        Persistent(21).load_state_dict(chains.state_dict())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"size": 0}, "size should be at least 1; got 0"),
        ({"reinit": 1.5}, "reinit should be between 0 and 1; got 1.5"),
        ({"init": "zeros"}, "init should be uniform, normal or data; got 'zeros'"),
    ],
)
def test_what_a_constructor_refuses(keys, message):
    with pytest.raises(ValueError, match=message):
        Persistent(**keys)


def test_ranks_keep_equal_shares_and_restore_them_in_order():
    shares = [Persistent(12) for _ in range(3)]
    generator = torch.Generator().manual_seed(0)
    for rank, chains in enumerate(shares):
        chains.share(rank, 3)
        chains.start(torch.zeros(4, 2), generator)
    states = [chains.state_dict() for chains in shares]
    assert [len(state["buffer"]) for state in states] == [4, 4, 4]
    whole = torch.cat([state["buffer"] for state in states])
    others = [Persistent(12) for _ in range(2)]
    for rank, chains in enumerate(others):
        chains.share(rank, 2)
        chains.deal(states, rank, 2)
    assert torch.equal(torch.cat([chains.kept().x for chains in others]), whole)
    with pytest.raises(ValueError, match="divisible by the 5 ranks"):
        Persistent(12).share(0, 5)
    with pytest.raises(ValueError, match=r"hold 12 chains; .* need 10"):
        Persistent(10).deal(states, 0, 1)
    fresh = Persistent(10)
    fresh.deal([{}, {}], 0, 1)
    assert fresh.kept() is None


def bits(y):
    """Return a mask that tells the label it belongs to."""
    return y[:, None] >> torch.arange(3) & 1 == 1


def go_on(chains, rounds, seed=5, **beside):
    """Go on for some batches; each chain counts its own runs, in two fields."""
    generator = seeded(seed)
    for _ in range(rounds):
        start = chains.start(batch(), generator, **beside)
        new = torch.zeros(8, dtype=torch.int64)
        runs = new if not start.carried else torch.where(start.fresh, new, start.carried["runs"])
        runs = runs + 1
        carried = {"runs": runs, "odd": (runs % 2 == 1)[:, None]}
        chains.keep(Start(start.x + 1, start.y, carried, mask=start.mask))
    return chains


def test_a_chain_keeps_what_the_sampler_carries():
    first = Persistent(20).start(batch(), seeded())
    assert (first.carried, first.fresh, first.y) == ({}, None, None)
    chains = go_on(marked(), 12)
    kept = chains.kept()
    runs = kept.x[:, 0] - torch.arange(20.0)  # each of its runs moved a chain by 1
    assert torch.equal(kept.carried["runs"], runs.long())
    assert torch.equal(kept.carried["odd"], (runs % 2 == 1)[:, None])
    assert torch.equal(kept.fresh, runs == 0)


def test_a_chain_that_restarts_carries_nothing():
    chains = go_on(marked(reinit=1.0), 9)
    assert chains.start(batch(), seeded()).fresh.all()
    assert chains.kept().carried["runs"].max() == 1
    chains = go_on(marked(reinit=0.3), 30)
    start = chains.start(batch(), seeded(2))
    assert 0 < start.fresh.sum() < 8
    assert chains.kept().carried["runs"].max() > 1


def test_what_chains_carry_is_saved_and_dealt_to_other_ranks():
    y = torch.arange(8)
    chains = go_on(marked(), 7, y=y, mask=bits(y))
    other = Persistent(20)
    other.load_state_dict(copy.deepcopy(chains.state_dict()))
    go_on(chains, 5, seed=3)
    go_on(other, 5, seed=3)
    assert other.state_dict().keys() == chains.state_dict().keys() > {"y", "mask", "begun"}
    assert all(map(torch.equal, chains.state_dict().values(), other.state_dict().values()))
    halves = [Persistent(20), Persistent(20)]
    for rank, half in enumerate(halves):
        half.share(rank, 2)
        half.deal([chains.state_dict()], rank, 2)
    for name in ("runs", "odd"):
        both = torch.cat([half.kept().carried[name] for half in halves])
        assert torch.equal(both, chains.kept().carried[name])
    for name in ("y", "mask"):
        both = torch.cat([getattr(half.kept(), name) for half in halves])
        assert torch.equal(both, getattr(chains.kept(), name))
    assert torch.equal(chains.kept().mask, bits(chains.kept().y))


@pytest.mark.parametrize("init", ["uniform", "normal", "data"])
@pytest.mark.parametrize("reinit", [0.0, 0.4])
def test_each_chain_keeps_its_conditions(init, reinit):
    """Moved along axis 1 alone, a chain of data tells by axis 0 from which event it came."""
    chains, generator = Persistent(30, init=init, reinit=reinit), seeded()
    known = {}
    for step in range(20):
        x = torch.randn(8, 3, generator=generator)
        y = (1000 * x[:, 0]).round().long()  # each event's own label
        start = chains.start(x, generator, y=y, mask=bits(y))
        assert start.y.shape == y.shape
        assert torch.equal(start.mask, bits(start.y))
        if init == "data":
            assert torch.equal(start.y, (1000 * start.x[:, 0]).round().long())
        elif step == 0:
            assert torch.equal(start.y, y)  # new chains take their batch's labels
        new = torch.ones(8, dtype=torch.bool) if start.fresh is None else start.fresh
        for at, label, is_new in zip(start.x[:, 0].tolist(), start.y.tolist(), new, strict=True):
            assert is_new or known[at] == label
            known[at] = label
        moved = start.x + torch.tensor([0.0, 1.0, 0.0])
        chains.keep(Start(moved, start.y, mask=start.mask))


def test_chains_of_data_begin_at_rows_drawn_at_random():
    x = torch.arange(200.0)[:, None].expand(200, 3)
    for chains in (Persistent(200, init="data"), Persistent(200, init="data", reinit=1.0)):
        rows = chains.start(x, seeded()).x[:, 0]
        assert len(rows.unique()) < 180  # with repeats: 126 of 200, on average
        assert rows.max() > 190
        assert abs(torch.corrcoef(torch.stack([chains.kept().x[:, 0], x[:, 0]]))[0, 1]) < 0.5


def test_new_chains_take_the_labels_of_the_batch_in_turn():
    chains, y = Persistent(20, init="normal"), torch.arange(8)
    chains.start(batch(), seeded(), y=y)
    assert chains.kept().y.tolist() == [*range(8), *range(8), *range(4)]


def test_what_is_kept_beside_chains_is_a_copy_each_time():
    y = torch.arange(8)
    chains, other = go_on(marked(), 3, y=y, mask=bits(y)), Persistent(20)
    before, state = chains.state_dict(), chains.state_dict()
    other.load_state_dict(state)
    kept = other.kept()
    for tensor in (*state.values(), kept.y, kept.mask, *kept.carried.values()):
        tensor.fill_(9)
    assert all(map(torch.equal, other.state_dict().values(), before.values()))
