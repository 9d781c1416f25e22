"""Runs on sequences of different length: no number of padding counts, from data to samples."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import ConfigError, conditioned
from ebmcore.compile.step import CompiledStep
from ebmcore.config import read_train
from ebmcore.train.step import TrainStep
from support.compile_parts import ColdLangevin
from support.compiled_steps import assert_alike
from support.runs import assert_same, cut, go, resume, tensors

T = 4


class Steps(nn.Module):
    """E = ½ Σ (x_t - L)² over the L steps that count: steps lie at the length of their sequence."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.9))

    def forward(self, x, mask):
        length = mask.sum(1, keepdim=True)
        return 0.5 * ((x - self.scale * length).square() * mask).sum(1)


class Optional(Steps):
    def forward(self, x, mask=None):
        return super().forward(x, torch.ones_like(x) if mask is None else mask)


class Unmasked(Steps):
    def forward(self, x):
        return super().forward(x, torch.ones_like(x))


def divergence(energy, x, x_neg, mask=None, mask_neg=None):
    of_data, of_samples = conditioned(energy, mask=mask), conditioned(energy, mask=mask_neg)
    return of_data(x).mean() - of_samples(x_neg).mean()


def noise(x, generator):
    """Chains of a stranger, who knows of no mask."""
    return 9 * torch.randn(x.shape, generator=generator)


class Kept(ebmcore.Chains):
    """Chains that begin at the batch and keep their ends."""

    def __init__(self):
        self.end = None

    def start(self, x, mask):
        return ebmcore.Start(x, mask=mask)

    def keep(self, end):
        self.end = end

    def kept(self):
        return self.end


def sequences(n=60, padding=0.0):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.arange(n) % T + 1
    x = lengths[:, None] + 0.3 * torch.randn(n, T, generator=generator)
    return {"x": x.where(torch.arange(T) < lengths[:, None], padding), "lengths": lengths}


def experiment(energy=Steps, loss=divergence, chains=Kept, **options):
    return ebmcore.Experiment(**{
        "data": sequences(), "energy": energy(), "loss": loss, "sampler": ColdLangevin(),
        "chains": chains() if isinstance(chains, type) else chains, "n_steps": 20,
        "holdout": 0.2, "optimizer": torch.optim.Adam, **options,
    })  # fmt: skip


def run(made, **train):
    return made.run(**{"steps": 6, "batch_size": 12, **train}, tracking="off", progress=False)


def fits(x, mask, scale):
    """Say how far samples lie from the length that their mask says, and that padding is 0."""
    assert (x[~mask] == 0).all()
    return ((x - scale * mask.sum(1, keepdim=True)) * mask).abs().max()


@pytest.mark.parametrize("energy", [Steps, Optional])
@pytest.mark.parametrize("chains", [Kept, noise])
def test_views_and_samples_have_masks(energy, chains):
    seen = []

    def look(view):
        own = torch.tensor([1, 1, 1, 0]).bool()
        each = torch.eye(T).bool()[[3, 0]]
        seen.append((view, view.sample(8, 60), view.sample(5, 60, mask=own),
                     view.sample(2, 60, mask=each), view.trace(5, 60, 60, mask=own)))  # fmt: skip
        return {}

    look.takes_mask = True
    done = run(experiment(energy, chains=chains, monitors=[(look, "end")]))
    assert done.warnings == []
    ((view, free, three, each, trace),) = seen
    scale = done.energy.scale.item()
    lengths = (free != 0).sum(1)  # of chains that have their own masks
    assert set(lengths.tolist()) <= set(range(1, T + 1))
    assert len(set(lengths.tolist())) > 1
    assert fits(free, torch.arange(T) < lengths[:, None], scale) < 0.4
    own = torch.arange(T).expand(5, T) < 3
    assert fits(three, own, scale) < 0.4
    assert fits(trace.x[-1], own, scale) < 0.4
    assert fits(each, torch.eye(T).bool()[[3, 0]], scale) < 0.4
    assert (len(view.data_mask), len(view.held_out_mask)) == (48, 12)
    assert fits(view.data, view.data_mask, 1) < fits(view.data, view.data_mask, 0.5)
    assert fits(view.x_neg, view.mask_neg, scale) < 0.4
    assert torch.equal(view.mask, view.x != 0)
    drawn = done.draw(6, 60)
    assert fits(drawn.x, drawn.mask, scale) < 0.4
    assert fits(done.sample(6, 60, mask=own[0]), own[:1].expand(6, T), scale) < 0.4


def test_no_number_of_padding_changes_a_run():
    one, other = (run(experiment(data=sequences(padding=p))) for p in (0.0, 7e3))
    assert_same(one.dir, other.dir)
    assert tensors(one.dir)["data/masks"].dtype == torch.bool


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": sequences()["x"]}, "requires a `mask`, and the data have none: a dataset gives"),
        ({"energy": Unmasked}, "the data have a mask, and energy takes none, so their padding"),
        (
            {"energy": Unmasked, "data": sequences(padding=torch.nan)["x"]},
            "The mask is of NaN: 45 of 60 events end in steps of NaN, 90 in all, which are taken",
        ),
        ({"loss": lambda energy, x: energy(x).mean()}, "doesn't take `mask`, so the padding"),
        (
            {"loss": lambda energy, x, x_neg, mask: energy(x, mask).mean()},
            "calls the energy and doesn't take `mask_neg`, so the padding of the data would count",
        ),
        (
            {"loss": lambda x, mask: x.sum(), "data": torch.ones(60, T), "energy": Unmasked},
            "asks for a `mask`, and the data have none",
        ),
    ],
)
def test_padding_that_would_count_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        run(experiment(**options))


def test_monitors_without_masks_are_warned_of():
    done = run(experiment(monitors=[(lambda view: {}, "end")]))
    (warning,) = done.warnings
    assert "monitor 'lambda' doesn't declare `takes_mask`, so the padding" in warning


@pytest.mark.parametrize("n_steps", [3, 30])  # in one graph, and in one that is repeated
def test_a_compiled_step_binds_the_masks(n_steps):
    steps, warned = [], []
    for kind in (TrainStep, partial(CompiledStep, backend="aot_eager", warn=warned.append)):
        made = experiment(Optional, n_steps=n_steps, holdout=0.0)
        step = kind(made.assemble(), read_train({"steps": 4, "batch_size": 12}), made.streams, None)
        data = step.parts.data
        for i in range(4):
            rows = slice(12 * i + i, 12 * i + i + 12)  # so that the masks differ
            done = step(data.x[rows], data.conditions.rows(rows), i)
        steps.append((step, done))
    (eager, expected), (compiled, found) = steps
    compiled.averaged = eager.averaged = nn.Linear(1, 1)
    assert_alike(eager, expected, compiled, found)
    assert (warned, compiled.mode) == ([], "step" if n_steps == 3 else "blocks")
    assert eager.parts.chains.end.mask.dtype == torch.bool


@pytest.mark.plugins
@pytest.mark.parametrize("chains", ["persistent", "noise", "data"])
def test_an_lstm_of_different_lengths(tmp_path, chains):
    found = sequences(padding=np.nan)
    np.savez(tmp_path / "steps.npz", **{name: value.numpy() for name, value in found.items()})
    config = {
        "plugins": {"files": []},
        "data": {"type": "file", "path": str(tmp_path / "steps.npz")},
        "energy": {"type": "lstm", "hidden": 4, "head_width": 4, "layers": 1},
        "sampler": {"type": "langevin", "n_steps": 3, "step_size": 0.01},
        "chains": {"type": chains},
        "loss": [{"type": "contrastive_divergence"}, {"type": "energy_magnitude", "weight": 0.1}],
        "monitors": [{"type": "energies", "every": "3 steps"}],
        "train": {"steps": 6, "batch_size": 12, "checkpoint_every": "3 steps", "log_every": 2},
        "tracking": "off",
    }
    whole = go(config)
    assert whole.warnings == []
    assert_same(whole.dir, resume(cut(whole, 3), config).dir)
    opened = ebmcore.load(whole.dir)
    drawn, again = opened.draw(9, 5), whole.draw(9, 5)
    assert torch.equal(drawn.x, again.x)
    assert torch.equal(drawn.mask, again.mask)
    assert torch.equal(drawn.x != 0, drawn.mask)
    given = conditioned(opened.energy, mask=drawn.mask)
    assert torch.equal(given(drawn.x + 9.0 * ~drawn.mask), given(drawn.x))
    evaluated = ebmcore.evaluate(whole.dir, {"monitors": [{"type": "energies"}]})
    assert evaluated.warnings == []
    assert evaluated.metrics["energies/data_mean"] == pytest.approx(
        whole.metrics["energies/data_mean"]
    )
