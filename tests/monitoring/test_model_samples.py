"""Samples that a model is judged by begin without the data, in monitors as in `Run.sample`."""

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import Chains, Start
from ebmcore.distributed.gather import AllChains
from ebmcore.monitoring.model_samples import ModelSamples
from ebmcore.sampling import Sampler, as_kernel
from ebmcore.spaces import Binary
from ebmcore.train.rng import Streams

DATA = 100.0 + torch.arange(24.0).view(12, 2)  # no noise over BOUNDS comes near it
BOUNDS = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])


def stays(energy, x, generator):
    return x


def noisy(energy, x, generator):
    return 0.9 * x + 0.1 * torch.randn(x.shape, generator=generator)


class Keeps(Chains):
    """Chains that begin at the batch, go on where they ended, and don't say where they began."""

    def __init__(self):
        self.end = None

    def start(self, x, generator):
        return Start(x) if self.end is None else self.end

    def keep(self, end):
        self.end = end

    def kept(self):
        return self.end


class Secretly(Keeps):
    def kept(self):
        return None


class FromNoise(Keeps):
    begins_at_data = False


class AtX(Chains):
    def start(self, x):
        return x + 0.5


def samples_of(chains, **known):
    start = chains.start(DATA, **({} if isinstance(chains, AtX) else {"generator": None}))
    chains.keep(start if isinstance(start, Start) else Start(start))  # one training step
    known.setdefault("bounds", BOUNDS)
    return ModelSamples(
        nn.Linear(2, 1), Sampler(as_kernel(stays), 2), chains, torch.Generator().manual_seed(0),
        batch=lambda n, y: Start(DATA[:n], y), **known,
    )  # fmt: skip


@pytest.mark.parametrize("chains", [Keeps, Secretly, AtX])
def test_no_sample_begins_at_the_data(chains):
    samples = samples_of(chains())
    for x in (samples.sample(200, None), samples.trace(200, 2, 1).x[0]):
        assert x.min() < -0.9 + 0.5 * (chains is AtX)
        assert x.max() < 1.5  # AtX moves the noise by ½
        assert torch.unique(x, dim=0).shape == (200, 2)


def test_kept_chains_that_began_at_noise_go_on():
    samples = samples_of(FromNoise())
    assert {tuple(x) for x in samples.sample(5, 1).tolist()} < {tuple(x) for x in DATA.tolist()}
    whole = AllChains(FromNoise(), Start(DATA))
    assert samples_of(whole).sample(5, 1).min() >= 100
    assert samples_of(AllChains(Keeps(), Start(DATA))).sample(5, 1).max() < 1


def test_chains_that_never_began_give_more_than_they_hold():
    class Eight(FromNoise):
        size = 8

        def start(self, x, generator):
            assert len(x) <= self.size
            return Start(torch.arange(len(x)).float())

    model = ModelSamples(nn.Identity(), Sampler(as_kernel(stays), 1), Eight(),
                         torch.Generator().manual_seed(0), BOUNDS)  # fmt: skip
    assert model.sample(5, 1).tolist() == [0, 1, 2, 3, 4]
    many = model.sample(100, 1)
    assert len(many) == 100
    assert set(many.tolist()) == set(range(8))


@pytest.mark.plugins
def test_no_shipped_chains_hand_on_the_data():
    from ebmcore_chains import Data, Noise, Persistent, Proposed

    class Network(nn.Module):
        def sample(self, n, generator):
            return torch.randn(n, 2, generator=generator)

    def proposed(rest):
        return Proposed({"proposer": Network()}, share=0.5, rest=rest)

    going_on = []
    for chains in (
        Data(),
        Noise(kind="normal"),
        Persistent(20, data_range=BOUNDS),
        Persistent(20, init="data"),
        proposed(Data()),
        proposed(Persistent(20, init="data")),
        proposed(Persistent(20, data_range=BOUNDS)),
    ):
        samples = samples_of(chains)
        x, kept = samples.sample(15, None), chains.kept()
        assert x.abs().max() < 10
        going_on.append(kept is not None and bool((x[0] == kept.x).all(1).any()))
    assert going_on == [False, False, True, False, False, False, True]


def test_a_trace_can_begin_as_in_training():
    for chains in (Keeps(), Secretly(), AtX(), FromNoise()):
        trace = samples_of(chains).trace(4, 2, 1, as_trained=True)
        assert trace.x.min() >= 100


def test_discrete_chains_begin_uniformly_in_their_space():
    samples = samples_of(Keeps(), bounds=BOUNDS.long() * 0, space=Binary())
    x = samples.sample(400, 1)
    Binary().check(x)
    # half are 1: 800 bits, 5 standard errors
    assert x.double().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / 800**0.5)


class Labelled(nn.Module):
    def forward(self, x, y):
        return x.sum(1) * y


def test_labels_are_those_of_kept_chains_or_of_the_data():
    at_data = Keeps()
    made = samples_of(at_data, labels=torch.full((9,), 5))._replace(energy=Labelled())
    assert set(made.draw(6, 1).y.tolist()) == {5}
    at_data.keep(Start(DATA, torch.full((12,), 3)))
    drawn = made.draw(6, 1)
    assert set(drawn.y.tolist()) == {3}
    assert drawn.x.max() < 1
    assert made.draw(6, 1, y=4).y.tolist() == [4] * 6


@pytest.mark.parametrize("chains", [Keeps, FromNoise, AtX])
def test_monitors_and_run_sample_draw_the_same(chains, tmp_path):
    seen = []

    def look(view):
        view.generator.set_state(Streams(0, torch.device("cpu"))("samples 7").get_state())
        seen.append(view.trace(5, 20, 20).x[-1])  # `sample` has a stream of its own
        assert view.begins_at_data is (chains is not FromNoise)
        return {}

    torch.manual_seed(0)
    run = ebmcore.Experiment(
        data=torch.randn(40, 2, generator=torch.Generator().manual_seed(1)),
        energy=nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), n_steps=2, sampler=noisy,
        loss=lambda energy, x, x_neg: energy(x).mean() - energy(x_neg).mean(),
        chains=chains(), monitors=[(look, "end")], device="cpu",
    ).run(steps=2, batch_size=8, tracking="off", progress=False, runs_dir=tmp_path)  # fmt: skip
    assert torch.equal(seen[0], run.sample(5, seed=7))
