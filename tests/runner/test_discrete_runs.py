"""Runs on bits and on categories: chains, samples and likelihoods stay on the lattice."""

import math

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import Binary, Categorical, Experiment

pytestmark = pytest.mark.plugins

CONFIG = {
    "data": {"type": "bars", "n": 400},
    "energy": {"type": "rbm", "hidden": 4, "scale": 0.5},
    "sampler": {"type": "block_gibbs", "hidden": 4, "n_steps": 2},
    "chains": {"type": "persistent", "size": 100},
    "loss": "contrastive_divergence",
    "train": {"steps": 3, "batch_size": 50},
    "monitors": [{"type": "exact_likelihood", "every": "end"}],
    "tracking": "off",
}
ENTROPY = (5 - 1 / 8) * math.log(2)  # of bars, MacKay 2003: 1/16 each of two, 1/32 of 28
STARTS = {
    "noise": "noise",
    "persistent": {"type": "persistent", "size": 100},
    "normal": {"type": "persistent", "size": 100, "init": "normal"},
    "data": "data",
}


@pytest.mark.parametrize("chains", STARTS)
def test_chains_give_bits_and_their_likelihood_is_exact(chains):
    run = ebmcore.run({**CONFIG, "chains": STARTS[chains]}, progress=False)
    assert run.warnings == []
    Binary().check(run.sample(50))
    loaded = ebmcore.load(run.dir)
    assert loaded.space == Binary()
    x = loaded.sample(50)
    assert torch.equal(x, run.sample(50))
    Binary().check(x)
    if chains != "noise":
        return
    found = run.metrics
    assert found["exact_likelihood/log_z"] == pytest.approx(run.energy.log_z().item(), abs=1e-5)
    assert found["exact_likelihood/mass"] == pytest.approx(1, abs=1e-9)
    assert found["exact_likelihood/entropy"] == pytest.approx(ENTROPY, abs=1e-9)
    assert not any("leak" in name for name in found)
    evaluated = ebmcore.evaluate(run.dir)
    assert evaluated.metrics["exact_likelihood/nll"] == found["exact_likelihood/nll"]
    assert evaluated.failed == {}
    with pytest.raises(
        ebmcore.ConfigError, match="'langevin' moves in real events, and data 'bars'"
    ):
        ebmcore.evaluate(run.dir, {"sampler": "langevin"})


def test_one_hot_bits_have_the_law_of_their_categories():
    from ebmcore_discrete import Bars

    data = {"type": "bars", "n": 400, "side": 2, "transform": "one_hot"}  # 8 bits an event
    run = ebmcore.run({**CONFIG, "data": data}, progress=False)
    found, x = run.metrics, run.sample(20)
    assert x.shape == (20, 2, 2)
    Binary().check(x)
    assert found["exact_likelihood/mass"] == pytest.approx(1, abs=1e-9)  # no event has other bits
    assert found["exact_likelihood/entropy"] == pytest.approx(Bars(side=2).entropy, abs=1e-9)
    assert torch.equal(run.transforms.inverse(run.transforms(x)), x)


class Potts(nn.Module):
    """A field for each number and category."""

    def __init__(self):
        super().__init__()
        self.field = nn.Parameter(torch.zeros(2, 3))

    def forward(self, x):
        return self.field[torch.arange(2), x].sum(1)


def test_categories_train_as_whole_numbers_and_resume():
    from ebmcore_chains import Persistent
    from ebmcore_discrete import Gibbs
    from ebmcore_losses import contrastive_divergence
    from ebmcore_monitors.exact_likelihood import ExactLikelihood

    space = Categorical(3)
    x = torch.tensor([[0, 0], [1, 2], [1, 0], [1, 2]]).repeat(25, 1)
    run = Experiment(
        data=x, space=space, energy=Potts(), loss=contrastive_divergence, holdout=0.2,
        sampler=Gibbs(space=space), n_steps=1, chains=Persistent(60, space=space),
        monitors=[(ExactLikelihood(), "end")],
    ).run(steps=4, batch_size=20, tracking="off", progress=False)  # fmt: skip
    assert run.chains.kept().x.dtype == torch.int64
    drawn = run.sample(30)
    assert drawn.dtype == torch.int64
    space.check(drawn)
    exact = (-run.energy.field).logsumexp(1).sum().item()
    assert run.metrics["ExactLikelihood/log_z"] == pytest.approx(exact, abs=1e-6)
    loaded = ebmcore.load(run.dir, energy=Potts())
    assert loaded.space == space
    assert torch.equal(loaded.energy.field, run.energy.field)


def test_bits_off_the_lattice_are_refused_by_name():
    from ebmcore_discrete import RBM, BlockGibbs

    with pytest.raises(ebmcore.ConfigError, match=r"the data are declared binary: row 0, column 0"):
        Experiment(
            data=torch.full((9, 4), 0.5), space=Binary(), energy=RBM(2, event_shape=(4,)),
            loss=lambda energy, x: energy(x).mean(), sampler=BlockGibbs(2),
        )  # fmt: skip


def test_a_network_of_tokens_learns_a_markov_chain(tmp_path):
    """Judged by all 3⁴ sequences: KL(chain‖model) from 1.45 nats, uniform, to a tenth of it."""
    start = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    step = torch.tensor([[0.8, 0.15, 0.05], [0.1, 0.1, 0.8], [0.45, 0.45, 0.1]]).double()
    events = torch.cartesian_prod(*[torch.arange(3)] * 4)
    law = start[events[:, 0]] * step[events[:, :-1], events[:, 1:]].prod(1)
    drawn = torch.multinomial(law, 4000, True, generator=torch.Generator().manual_seed(0))
    torch.save(events[drawn], tmp_path / "tokens.pt")
    config = {
        "data": {"type": "file", "path": str(tmp_path / "tokens.pt"),
                 "space": {"type": "categorical", "k": 3}},
        "energy": {"type": "gru", "hidden": 16, "layers": 1, "head_width": 16, "embedding": 4},
        "sampler": {"type": "gibbs", "n_steps": 1},
        "chains": "persistent",
        "loss": "contrastive_divergence",
        "optimizer": {"type": "Adam", "lr": 0.03},
        "train": {"steps": 100, "batch_size": 100},
        "compile": False,
        "tracking": "off",
    }  # fmt: skip
    run = ebmcore.run(config, progress=False)
    assert run.warnings == []
    with torch.no_grad():
        model = (-run.energy(events).double()).log_softmax(0)
    assert (law * (law.log() - model)).sum() < 0.145
    assert run.sample(5).dtype == torch.int64
