"""A monitor's samples leave all memory of the sampler and the chains as it was."""

import copy
import threading

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import Chains, Start, energy_and_score
from support import compile_parts as made


class Adapts(made.Ula):
    """A hidden step size that each run of the kernel lengthens."""

    def init(self, energy, x):
        self.step_size *= 1.05
        return super().init(energy, x)


class AdaptsAndSays(Adapts):
    """The same, with a state to save."""

    def state_dict(self):
        return {"step_size": self.step_size}

    def load_state_dict(self, state):
        self.step_size = state["step_size"]


class Locked(Adapts):
    """A kernel that can't be copied as a whole."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class LockedInside:
    """Memory that can't be copied at all."""

    def __init__(self):
        self.step_size = 0.05

    def __deepcopy__(self, memo):
        raise TypeError("there is one of these alone")


class Shares(AdaptsAndSays):
    """A kernel whose memory can't be copied, but saved."""

    def __init__(self):
        self.memory = LockedInside()

    @property
    def step_size(self):
        return self.memory.step_size

    @step_size.setter
    def step_size(self, value):
        self.memory.step_size = value


class Counts:
    """A function of one step that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, energy, x, generator):
        self.calls += 1
        score = energy_and_score(energy, x)[1]
        noise = torch.randn(x.shape, generator=generator)
        return x + 0.05 * score + 0.1 * (1 + self.calls) ** 0.1 * noise


class Moves(Chains):
    """Chains that begin elsewhere each time, of which no event is kept."""

    def __init__(self):
        self.starts = torch.zeros(())

    def start(self, x, generator):
        self.starts += 1
        return x + 0.1 * self.starts


class Keeps(Chains):
    """Chains that keep everything, and hand it out as it is."""

    def __init__(self):
        self.end = None

    def start(self, x, generator):
        return self.end or Start(x)

    def keep(self, end):
        self.end = end

    def kept(self):
        return self.end


def asks(view):
    """Use all that a view offers to sample with."""
    view.sample(5, n_steps=3)
    view.trace(4, n_steps=4, thin=2)
    view.sample(3)
    if hasattr(view.kernel, "init"):
        state = ebmcore.init_state(view.kernel, view.energy, view.x, generator=view.generator)
        view.kernel.step(view.energy, state, view.kernel.noise(state.x, view.generator))
    return {}


def trained(sampler, chains, monitors):
    torch.manual_seed(0)
    experiment = ebmcore.Experiment(
        data=torch.randn(40, 2, generator=torch.Generator().manual_seed(1)),
        energy=nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0)),
        loss=made.gap,
        sampler=copy.copy(sampler) if isinstance(sampler, Counts) else type(sampler)(),
        chains=chains(),
        n_steps=2,
        monitors=monitors,
        holdout=0.0,
        device="cpu",
    )
    run = experiment.run(
        tracking="off", progress=False, steps=8, batch_size=8, log_every=4, checkpoint_every="end"
    )
    assert run.warnings == [] or all("short" in text for text in run.warnings)
    return torch.cat([p.detach().flatten() for p in run.energy.parameters()])


@pytest.mark.parametrize(
    ("sampler", "chains"),
    [
        (Adapts(), Keeps),
        (AdaptsAndSays(), Keeps),
        (Locked(), Keeps),
        (Shares(), Keeps),
        (Counts(), Keeps),
        (made.Ula(), Moves),
        (made.DrawnMomentum(), Keeps),
        (made.OwnMomentum(), Keeps),
    ],
    ids=lambda part: getattr(part, "__name__", type(part).__name__),
)
def test_a_run_with_a_monitor_has_the_weights_of_one_without(sampler, chains):
    with_it = trained(sampler, chains, [(asks, "2 steps")])
    assert torch.equal(with_it, trained(sampler, chains, []))
