"""What chains and kernels hand to each other: by whom each row, each label and each field is."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from ebmcore import Chains, Kernel, Sample, Start
from ebmcore.errors import PluginError
from ebmcore.sampling import (
    StepFunction,
    Walk,
    as_chains,
    carried_by,
    carried_on,
    keep_ends,
    kept_by,
    start_chains,
)
from ebmcore.sampling.sampler import Sampler

X = torch.arange(6.0).reshape(3, 2)


class State(NamedTuple):
    x: Tensor
    momentum: Tensor


class Counts(Kernel):
    """Moves by 1 a step; the momentum counts the steps."""

    carries = ("momentum",)

    def init(self, energy, x, carried, n_steps):
        self.told = n_steps
        return State(x, carried.or_new("momentum", x.new_zeros(len(x))))

    def noise(self, x, generator):
        return (torch.rand(1, generator=generator),)

    def step(self, energy, state, noise):
        return State(state.x + 1, state.momentum + 1), None


class Own:
    """The same in a loop of its own; writes into what it is given."""

    def sample(self, energy, x, n_steps, generator, carried):
        momentum = carried.or_new("momentum", x.new_zeros(len(x))) + n_steps
        x += n_steps
        return Sample(x, None, {"momentum": momentum})


class Block:
    """A compiled kernel's blocks of four steps, and the rest one by one."""

    def __init__(self, kernel):
        self.kernel = kernel

    def run(self, state, n_steps, generator):
        while n_steps:
            states = []
            for _ in range(min(n_steps, 4) if n_steps >= 4 else 1):
                state, _ = self.kernel.step(None, state, ())
                states.append((state.x, state))
            n_steps -= len(states)
            yield state, states


def energy(x):
    return x.sum(1)


def test_those_that_begin_anew_carry_nothing():
    fields, fresh = {"momentum": X}, torch.tensor([True, False, True])
    assert carried_by(Start(X)).fresh.tolist() == [True] * 3
    assert carried_by(Start(X, carried=fields)).fresh.tolist() == [False] * 3
    assert carried_by(Start(X, carried=fields, fresh=fresh)).fresh is fresh


def test_what_is_carried_on_has_rows_and_no_graph():
    found = carried_on(Counts(), State(X, X[:, 0].clone().requires_grad_() * 2))
    assert not found["momentum"].requires_grad
    assert torch.equal(found["momentum"], 2 * X[:, 0])
    missing = Counts()
    missing.carries = ("missing",)
    with pytest.raises(ValueError, match="carries 'missing'"):
        carried_on(missing, State(X, X))
    for wrong in (X[:2], None):
        with pytest.raises(ValueError, match="a row for each of the 3 chains"):
            carried_on(Counts(), State(X, wrong))


class Labelled(Chains):
    def __init__(self, **own):
        self.own = own

    def start(self, x):
        return Start(x, **self.own)


def test_chains_own_labels_and_masks_stand_over_the_batchs():
    y, mask = torch.arange(3), torch.ones(3, 2).bool()
    given = {"y": y, "mask": mask}
    own = {"y": y + 10, "mask": ~mask}
    assert start_chains(Labelled(**own), X, **given).y.tolist() == [10, 11, 12]
    assert not start_chains(Labelled(**own), X, **given).mask.any()
    for chains in (Labelled(), as_chains(lambda x, generator: x)):
        begin = start_chains(chains, X, **given)
        assert begin.y is y
        assert begin.mask is mask
    assert start_chains(Labelled(**own), X).y.tolist() == [10, 11, 12]


@pytest.mark.parametrize("kernel", [Counts(), Own()])
def test_a_walk_goes_on_where_it_ended(kernel):
    start = Start(X.clone(), carried={"momentum": torch.tensor([1.0, 2.0, 3.0])})
    walk = Walk(kernel, energy, start, None, n_steps=5)
    for taken in (2, 5):
        found = walk.go(2 if taken == 2 else 3)
        assert torch.equal(found.x, X + taken)
        assert found.carried["momentum"].tolist() == [1.0 + taken, 2.0 + taken, 3.0 + taken]
    assert getattr(kernel, "told", 5) == 5  # how many steps there will be in all
    assert torch.equal(start.x, X)


@pytest.mark.parametrize(("n_steps", "thin"), [(9, 1), (9, 3), (11, 4), (3, 2)])
def test_a_trace_in_blocks_keeps_every_thinth_state(n_steps, thin):
    kernel = Counts()
    walk = Walk(kernel, energy, X, None, Block(kernel), n_steps=n_steps)
    found = walk.trace(n_steps, thin)
    expected = [X + step for step in range(thin, n_steps + 1, thin)]
    assert torch.equal(found.x, torch.stack(expected))
    assert torch.equal(walk.x, X + n_steps)
    end = walk.go(6)
    assert torch.equal(end.x, X + n_steps + 6)
    assert end.info.momentum.tolist() == [n_steps + 6] * 3
    assert not Walk(kernel, energy, X.clone().requires_grad_(), None, n_steps=1).x.requires_grad


def test_a_sampler_draws_from_the_generator_it_is_given():
    generator, same = (torch.Generator().manual_seed(3) for _ in range(2))
    state = torch.get_rng_state()
    assert torch.equal(Sampler(Counts(), 7)(energy, X, generator).x, X + 7)
    torch.rand(7, generator=same)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(generator.get_state(), torch.Generator().manual_seed(3).get_state())


def test_a_function_is_called_for_each_step_and_keeps_no_graph():
    class Adds:
        spaces = ("some",)
        implied_temperature = 0.5

        def __init__(self):
            self.calls = 0

        def __call__(self, energy, x, generator):
            self.calls += 1
            return x + torch.ones(1, requires_grad=True)

        def state_dict(self):
            return {"calls": self.calls}

        def load_state_dict(self, state):
            self.calls = state["calls"]

    adds, other = Adds(), Adds()
    kernel = StepFunction(adds)
    found = kernel.sample(energy, X, 4, None)
    assert torch.equal(found, X + 4)
    assert not found.requires_grad
    assert (kernel.spaces, kernel.implied_temperature) == (("some",), 0.5)
    starts = as_chains(lambda x, generator: (x, generator))
    assert starts.start(X, generator := torch.Generator()) == (X, generator)
    assert kernel.state_dict() == {"calls": 4}
    StepFunction(other).load_state_dict(kernel.state_dict())
    assert other.calls == 4


def test_a_pair_is_where_chains_ended_and_the_info():
    class Pair:
        def sample(self, energy, x, n_steps, generator):
            return x + n_steps, "info"

    found = Walk(Pair(), energy, X, None, n_steps=3).go(3)
    assert torch.equal(found.x, X + 3)
    assert found.info == "info"


def test_chains_that_take_a_start_for_a_tensor_are_told():
    class Wrong(Chains):
        def keep(self, end):
            return len(5)

        def kept(self):
            return X

    chains = Wrong()
    with pytest.raises(TypeError, match="no len"):
        keep_ends(chains, Start(X))
    with pytest.raises(PluginError, match=r"`Wrong.kept` returns a Tensor"):
        kept_by(chains)
    with pytest.raises(TypeError, match=r"should be an ebmcore.Chains or a function"):
        as_chains(dict)
    chains.keep = lambda end: end.mean()
    with pytest.raises(PluginError, match=r"takes a tensor and gets a `Start`"):
        keep_ends(chains, Start(X))
