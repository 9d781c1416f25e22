"""The fused kernels that lack a derivative are off while that derivative is taken, and only then.

cuDNN's recurrent layers have no double backward, and in evaluation mode no backward; fused
attention has no double backward, not on the CPU either. The energies here write down what is on
when they are called and when they are differentiated, which needs no GPU.
"""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import ebmcore
from ebmcore import energy_and_score
from ebmcore.sampling import evaluating

cuda = torch.backends.cuda


class Paths(NamedTuple):
    """What is on, and in which mode the energy is."""

    training: bool
    cudnn: bool
    flash: bool
    efficient: bool
    cudnn_attention: bool
    math: bool

    @classmethod
    def now(cls, module):
        return cls(
            module.training,
            torch.backends.cudnn.enabled,
            cuda.flash_sdp_enabled(),
            cuda.mem_efficient_sdp_enabled(),
            cuda.cudnn_sdp_enabled(),
            cuda.math_sdp_enabled(),
        )


class Listening(nn.Module):
    """E(x) = ½ ‖w x‖² + what a part adds; writes down the paths of each call that has a graph."""

    def __init__(self, part=None):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.part = part
        self.forwards: list[Paths] = []
        self.backwards: list[Paths] = []  # of E
        self.updates: list[Paths] = []  # of what the gradient is taken of for w

    def forward(self, x):
        weight = 1.0 * self.weight
        values = 0.5 * (weight * x).square().flatten(1).sum(1)
        if self.part is not None:
            values = values + self.part(x)
        if torch.is_grad_enabled():
            self.forwards.append(Paths.now(self))
            values.register_hook(lambda gradient: self.backwards.append(Paths.now(self)))
            weight.register_hook(lambda gradient: self.updates.append(Paths.now(self)))
        return values


class Memory(nn.Module):
    """An LSTM's last state, summed."""

    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList([nn.LSTM(1, 3, batch_first=True)])

    def forward(self, x):
        return self.inner[0](x.unsqueeze(2))[1][0][-1].sum(1)


class Attention(nn.Module):
    """Torch's fused attention of a sequence to itself, summed."""

    def forward(self, x):
        h = torch.stack([x, x.square()], -1)[:, None]
        return F.scaled_dot_product_attention(h, h, h).flatten(1).sum(1)


class Encoder(nn.Module):
    """Torch's own encoder layer, summed."""

    def __init__(self):
        super().__init__()
        self.inner = nn.TransformerEncoderLayer(2, 1, 4, 0.0, "gelu", batch_first=True)

    def forward(self, x):
        return self.inner(torch.stack([x, x.square()], -1)).square().flatten(1).sum(1)


def smoothing(energy, x, generator):
    """Denoising score matching at σ = 1."""
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    noised = (x + noise).requires_grad_()
    (gradient,) = torch.autograd.grad(energy(noised).sum(), noised, create_graph=True)
    return 0.5 * (gradient - noise).square().flatten(1).sum(1).mean()


smoothing.order = 2


def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()


def descend(energy, x, generator):
    return x + 0.1 * energy_and_score(energy, x)[1]


def train(tmp_path, energy, loss, **parts):
    data = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    experiment = ebmcore.Experiment(
        data=data, energy=energy, loss=loss, holdout=0.0, device="cpu", n_steps=2, **parts
    )
    return experiment.run(steps=1, batch_size=8, tracking="off", runs_dir=tmp_path, progress=False)


SAMPLED = {"sampler": descend, "chains": lambda x, generator: x.clone()}
ON = Paths(*[True] * 6)
TWICE = Paths(True, False, False, False, False, math=True)
SAMPLING = ON._replace(training=False, cudnn=False)


@pytest.fixture(autouse=True)
def as_before():
    """All is on when a test begins, and again when it has ended."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Identity()
        assert Paths.now(module) == ON
        yield
        assert Paths.now(module) == ON


@pytest.mark.parametrize(
    "loss", [smoothing, partial(smoothing), [(smoothing, 0.5)]], ids=["plain", "bound", "weighted"]
)
def test_a_loss_of_second_order_takes_plain_paths_both_ways(tmp_path, loss):
    energy = Listening()
    train(tmp_path, energy, loss)
    assert energy.forwards == [TWICE]
    assert energy.backwards
    assert energy.updates
    assert set(energy.backwards + energy.updates) == {TWICE}


def test_a_loss_of_first_order_keeps_the_fused_paths(tmp_path):
    energy = Listening()
    train(tmp_path, energy, lambda energy, x: energy(x).mean())
    assert energy.forwards == energy.backwards == energy.updates == [ON]


def test_one_loss_of_second_order_among_others_is_enough(tmp_path):
    """The steps of the sampler are of first order, so attention stays fused in them."""
    energy = Listening(Memory())
    train(tmp_path, energy, [gap, smoothing], **SAMPLED)
    assert energy.forwards == [SAMPLING] * 2 + [TWICE] * 3


def test_sampling_within_second_order_turns_nothing_on_again(tmp_path):
    def both(energy, x, sampler, generator):
        x_neg = sampler(energy, x, generator).x
        return smoothing(energy, x, generator) + gap(energy, x, x_neg)

    both.order = 2
    energy = Listening(Memory())
    train(tmp_path, energy, both, sampler=descend, chains=SAMPLED["chains"])
    walked = TWICE._replace(training=False)
    assert energy.forwards == [walked] * 2 + [TWICE] * 3


def test_the_paths_are_back_after_a_loss_that_raises(tmp_path):
    def broken(energy, x):
        energy(x)
        raise KeyError("on purpose")

    broken.order = 2
    energy = Listening()
    with pytest.raises(ebmcore.RunError):
        train(tmp_path, energy, broken)
    assert energy.forwards == [TWICE]  # `as_before` sees to the rest


@pytest.mark.parametrize("part", [Attention, Encoder, Memory])
def test_a_loss_of_second_order_trains_through_fused_layers(tmp_path, part):
    """On the CPU, torch's fused attention raises in a double backward: this fails unguarded."""
    energy = Listening(part())
    before = [p.clone() for p in energy.parameters()]
    run = train(tmp_path, energy, smoothing)
    assert run.status == "FINISHED"
    assert not torch.equal(before[0], next(energy.parameters()))


def test_chains_of_a_recurrent_energy_run_without_cudnn():
    energy = Listening(Memory())
    ebmcore.sample_chain(descend, energy, event_shape=(4,), n_chains=2, burn_in=1, n_steps=2)
    assert energy.forwards == energy.backwards == [SAMPLING] * 3
    assert energy.part.inner[0].training
    energy.forwards.clear()
    ebmcore.sample_chain(descend, energy, torch.zeros(2, 4), n_steps=2, trace=True, burn_in=0)
    assert energy.forwards == [SAMPLING] * 2


def test_chains_of_other_energies_keep_cudnn():
    """Convolutions are what cuDNN is for, and they have every derivative there."""
    energy = Listening()
    ebmcore.sample_chain(descend, energy, event_shape=(4,), n_chains=2, n_steps=1)
    assert energy.forwards == [ON._replace(training=False)]


def test_a_step_samples_without_cudnn_and_trains_with_it(tmp_path):
    energy = Listening(Memory())
    run = train(tmp_path, energy, gap, **SAMPLED)
    assert energy.forwards == [SAMPLING] * 2 + [ON] * 2
    energy.forwards.clear()
    run.sample(3, 2)
    assert set(run.energy.forwards) == {SAMPLING}


def test_a_monitor_scores_a_recurrent_energy_without_cudnn(tmp_path):
    seen = []

    def looks(view):
        energy_and_score(view.energy, view.data)
        seen.extend(view.energy.forwards[-1:])
        return {}

    train(tmp_path, Listening(Memory()), lambda energy, x: energy(x).mean(), monitors=[looks])
    assert set(seen) == {SAMPLING}


def test_cudnn_stays_off_for_whoever_had_it_off():
    with torch.backends.cudnn.flags(enabled=False):
        with evaluating(Listening(Memory())):
            assert not torch.backends.cudnn.enabled
        assert not torch.backends.cudnn.enabled
