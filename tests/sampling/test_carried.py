"""State that outlives a run of a kernel: slots of `init`, carried fields, and their first users."""

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

import ebmcore
from ebmcore import Carried, Chains, Kernel, Sampler, Start, init_state, sample_chain, start_chains
from ebmcore.config import read_train
from ebmcore.contracts import Conditions
from ebmcore.sampling import as_chains, as_kernel, replicated
from ebmcore.train.step import TrainStep
from support import compile_parts as made

SIX = torch.arange(12.0).view(6, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bowl(x):
    return 0.5 * x.square().sum(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
def test_a_carried_field_is_new_where_a_chain_begins_anew(dtype):
    old, new = (torch.tensor(rows).to(dtype) for rows in ([[1], [2], [3]], [[0], [0], [0]]))
    carried = Carried({"p": old}, torch.tensor([False, True, False]))
    assert torch.equal(carried.or_new("p", new), torch.tensor([[1], [0], [3]]).to(dtype))
    assert carried.or_new("other", new) is new
    with pytest.raises(ValueError, match=r"carry 'p' of shape \(3, 1\); .* wants \(3, 2\)"):
        carried.or_new("p", torch.zeros(3, 2))


def test_chains_that_all_go_on_compute_nothing_new():
    old, called = torch.ones(3), []
    fields = {"p": old}

    def new():
        called.append(1)
        return torch.zeros(3)

    assert Carried(fields, None).or_new("p", new) is old
    assert not called
    assert torch.equal(Carried(fields, None).or_new("q", new), torch.zeros(3))
    some = Carried(fields, torch.tensor([False, True, False])).or_new("p", new)
    assert some.tolist() == [1.0, 0.0, 1.0]
    assert len(called) == 2


def test_a_kernel_that_draws_for_chains_that_go_on_fails():
    with pytest.raises(TypeError, match="_NothingIsDrawn"):
        init_state(made.DrawnMomentum(), bowl, SIX, carried=Carried({"momentum": SIX}, None))


@pytest.mark.parametrize("sampler", [made.DrawnMomentum(), made.OwnMomentum()])
def test_two_runs_that_carry_are_one(sampler):
    """Bit for bit, and not so without what they carry."""
    start, generator = Start(SIX), seeded()
    whole = Sampler(sampler, 7)(bowl, start, generator)
    generator = seeded()
    first = Sampler(sampler, 3)(bowl, start, generator)
    middle = generator.get_state()
    kept = Start(first.x, carried=first.carried)
    if hasattr(sampler, "init"):  # whose draws in `init` no chain takes
        init_state(sampler, bowl, SIX, generator=generator)
        generator.set_state(middle)
        sampler = NoDraws()
    second = Sampler(sampler, 4)(bowl, kept, generator)
    assert torch.equal(second.x, whole.x)
    assert all(torch.equal(second.carried[name], value) for name, value in whole.carried.items())
    generator.set_state(middle)
    assert not torch.equal(Sampler(sampler, 4)(bowl, first.x, generator).x, whole.x)


class NoDraws(made.DrawnMomentum):
    def init(self, energy, x, carried):
        return super(made.DrawnMomentum, self).init(energy, x, 1, carried)


class Notes(made.Ula):
    """Notes the slots that it gets."""

    seen = None

    def init(self, energy, x, *, carried, n_steps, generator):
        self.seen = (carried, n_steps, generator)
        return super().init(energy, x)


def test_init_gets_the_slots_that_it_names():
    kernel, generator = Notes(), seeded()
    sample_chain(kernel, bowl, SIX, n_steps=5, burn_in=3, generator=generator)
    carried, n_steps, passed = kernel.seen
    assert (n_steps, passed) == (8, generator)
    assert carried.fields == {}
    assert carried.fresh.all()
    Sampler(kernel, 4)(bowl, SIX, generator)
    assert kernel.seen[1] == 4


def test_what_a_kernel_names_wrongly_is_refused_at_once():
    def asks(self, energy, x, momentum):
        return None

    with pytest.raises(TypeError, match=r"init asks for 'momentum', .* slots: generator, n_steps"):
        as_kernel(type("Asks", (Kernel,), {"init": asks})())
    with pytest.raises(TypeError, match="carries p, but its `init` doesn't take them back"):
        as_kernel(type("Loses", (made.Ula,), {"carries": ("p",)})())
    with pytest.raises(TypeError, match="carries should be a tuple; got 'p'"):
        as_kernel(type("Text", (made.Momentum,), {"carries": "p"})())
    lacks = type("Lacks", (made.Momentum,), {"carries": ("momentum", "replicas")})()
    with pytest.raises(ValueError, match=r"carries 'replicas', .* each of the 6 chains; got None"):
        Sampler(as_kernel(lacks), 1)(bowl, SIX, seeded())

    def begins(self, x, rng):
        return x

    with pytest.raises(TypeError, match="start asks for 'rng', which is no slot; slots: y, mask"):
        as_chains(type("Asks", (Chains,), {"start": begins})())


def test_chains_get_the_slots_that_they_name():
    class Labelled(Chains):
        def start(self, x, *, y, space):
            assert space is None
            return Start(x, y)

    labels = torch.arange(6)
    assert torch.equal(start_chains(Labelled(), SIX, y=labels).y, labels)
    assert start_chains(as_chains(lambda x, generator: x + 1), SIX).y is None


class Replicas(NamedTuple):
    x: Tensor  # (chains, 1)
    hot: Tensor  # (chains, levels - 1, 1)
    energy: Tensor  # (chains, levels), nats
    taken: Tensor  # (chains,)


class Tempering(Kernel):
    """Parallel tempering: Metropolis steps at each temperature, and swaps of neighbours in turn."""

    carries = ("hot", "taken")
    temperatures = torch.tensor([1.0, 2.5, 6.0])
    widths = torch.tensor([0.35, 0.6, 1.0])

    def init(self, energy, x, carried):
        levels = len(self.temperatures)
        hot = carried.or_new("hot", x[:, None].expand(-1, levels - 1, -1))
        taken = carried.or_new("taken", torch.zeros(len(x), dtype=torch.int64))
        return Replicas(x, hot, self.energies(energy, torch.cat([x[:, None], hot], 1)), taken)

    def noise(self, x, generator):
        levels = len(self.temperatures)
        return (
            torch.randn((len(x), levels, 1), generator=generator),
            torch.rand((len(x), levels), generator=generator),
            torch.rand((len(x), levels), generator=generator),
        )

    @staticmethod
    def energies(energy, all_levels):
        with torch.no_grad():
            every = replicated(energy, all_levels.shape[1])
            return every(all_levels.flatten(0, 1)).view(all_levels.shape[:2])

    def step(self, energy, state, noise):
        at, e = torch.cat([state.x[:, None], state.hot], 1), state.energy
        moved = at + self.widths[:, None] * noise[0]
        new = self.energies(energy, moved)
        accepted = noise[1].log() < (e - new) / self.temperatures
        at, e = torch.where(accepted[..., None], moved, at), torch.where(accepted, new, e)
        beta = 1 / self.temperatures
        for low in range(len(beta) - 1):
            high = low + 1
            ratio = (beta[low] - beta[high]) * (e[:, low] - e[:, high])
            swap = (noise[2][:, low].log() < ratio) & (state.taken % 2 == low % 2)
            order = torch.arange(len(beta)).expand(len(at), -1).clone()
            order[:, low] = torch.where(swap, high, low)
            order[:, high] = torch.where(swap, low, high)
            at, e = at.gather(1, order[..., None]), e.gather(1, order)
        return Replicas(at[:, 0], at[:, 1:], e, state.taken + 1), None


class Forgets(Tempering):
    """The same, as it was when chains kept nothing but x."""

    carries = ()


class Rows(Chains):
    """Every chain goes on where it ended; `x` keeps what they saw."""

    def __init__(self, n):
        self.end = Start(torch.linspace(-1.5, 1.5, n)[:, None])

    def start(self, x):
        return self.end

    def keep(self, end):
        self.end = end


class DoubleWell(torch.nn.Module):
    """E(x) = 8(x² - 1)² + 0.7x, and a weight for the optimiser."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        x = x.flatten()
        return self.weight * (8 * (x.square() - 1).square() + 0.7 * x)


def share_of_the_right_well():
    """P(x > 0), by quadrature."""
    x = torch.linspace(-3, 3, 60_001, dtype=torch.float64)
    density = torch.exp(-(8 * (x.square() - 1).square() + 0.7 * x))
    return float(density[x > 0].sum() / density.sum())


def frozen(kernel, chains, n_chains, n_steps=10, energy=DoubleWell):
    """Return a training step with a learning rate of 0."""
    experiment = ebmcore.Experiment(
        data=torch.zeros(n_chains, 1),
        energy=energy(),
        loss=lambda energy, x, x_neg: energy.weight * x_neg.mean(),
        sampler=kernel,
        chains=chains,
        n_steps=n_steps,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.0),
        holdout=0.0,
        device="cpu",
    )
    train = read_train({"steps": 1, "batch_size": n_chains})
    return TrainStep(experiment.assemble(), train, experiment.streams, None)


class Conditional(DoubleWell):
    def forward(self, x, y):
        return super().forward(x)


class Optional(DoubleWell):
    def forward(self, x, y=None):
        return super().forward(x)


class Labels(Rows):
    def start(self, x, y):
        return self.end._replace(y=y)


@pytest.mark.parametrize("energy", [DoubleWell, Conditional, Optional])
def test_chains_get_and_keep_labels_if_the_energy_requires_them(energy):
    chains, labels = Labels(6), torch.arange(6)
    frozen(Tempering(), chains, 6, energy=energy)(torch.zeros(6, 1), Conditions(labels), 0)
    assert chains.end.carried.keys() == {"hot", "taken"}
    assert chains.end.y is (labels if energy is Conditional else None)


def visits(kernel, n_chains=750, rounds=100):
    """Return each chain's share of ends at x > 0, in training steps of 10 steps of the kernel."""
    step = frozen(kernel, Rows(n_chains), n_chains)
    x = step.parts.data.x
    seen = [step(x, Conditions(), i).x_neg.flatten() > 0 for i in range(rounds)]
    return torch.stack(seen[rounds // 4 :]).double().mean(0)


@pytest.mark.slow
def test_tempering_needs_replicas_that_outlive_a_step():
    """Restarted every 10 steps, against quadrature; independent chains, 4 standard errors."""
    right = share_of_the_right_well()
    assert right == pytest.approx(0.2035, abs=2e-3)
    kept, lost = visits(Tempering()), visits(Forgets())
    stderr = kept.std().item() / math.sqrt(len(kept))
    assert stderr < 0.005
    assert abs(kept.mean().item() - right) < 4 * stderr
    assert right - lost.mean().item() > 4 * lost.std().item() / math.sqrt(len(lost))
