"""Conditional runs: each chain keeps its label, in training, views, checkpoints and graphs."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import ConfigError, EbmError, conditioned
from ebmcore.compile.step import CompiledStep
from ebmcore.config import read_train
from ebmcore.train.step import TrainStep
from support.compile_parts import ColdLangevin
from support.compiled_steps import assert_alike
from support.runs import assert_same, cut, go, resume, tensors

CENTRES = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])


class Wells(nn.Module):
    """E(x, y) = ½ ‖x - c[y]‖², whose y is required."""

    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(CENTRES + 0.5)

    def forward(self, x, y):
        return 0.5 * (x - self.centres[y]).square().sum(1)


class Optional(Wells):
    """The same, summed over the labels without one."""

    def forward(self, x, y=None):
        each = 0.5 * (x[:, None] - self.centres).square().sum(2)
        return -(-each).logsumexp(1) if y is None else super().forward(x, y)


class OfLevel(Wells):
    def forward(self, x, t):
        return x.square().sum(1) / t


def divergence(energy, x, x_neg, y, y_neg):
    """Contrastive divergence of a stranger, in four lines."""
    if y_neg is None:
        return energy(x).mean() - energy(x_neg).mean()
    return energy(x, y).mean() - energy(x_neg, y_neg).mean()


def labelled(n=120, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=generator)
    return CENTRES[y] + 0.3 * torch.randn(n, 2, generator=generator), y


def at_labels(x, generator):
    """Chains at noise, which take no label: the energy's is the batch's."""
    return 9 * torch.randn(x.shape, generator=generator)


class Kept(ebmcore.Chains):
    """Chains that begin at the batch and its labels."""

    def start(self, x, y):
        return ebmcore.Start(x, y)


def experiment(energy=Wells, loss=divergence, chains=Kept, **options):
    return ebmcore.Experiment(**{
        "data": labelled(), "energy": energy(), "loss": loss, "sampler": ColdLangevin(),
        "chains": chains(), "n_steps": 20, "holdout": 0.2, "stratify": True, **options,
    })  # fmt: skip


def run(made, **train):
    return made.run(**{"steps": 6, "batch_size": 24, **train}, tracking="off", progress=False)


def test_views_and_samples_have_labels():
    seen = []

    def look(view):
        near = {y: view.sample(8, 60, y=y) for y in range(3)}
        own = torch.tensor([2, 0, 1])
        seen.append((view, near, view.sample(3, 60, y=own), view.trace(3, 60, 60, y=own)))
        return {"energy": conditioned(view.energy, y=view.data_y)(view.data).mean().detach()}

    done = run(experiment(monitors=[(look, "end")]))
    assert done.warnings == []
    ((view, near, mixed, trace),) = seen
    centres = done.energy.centres.detach()
    for y, x in near.items():
        torch.testing.assert_close(x.mean(0), centres[y], atol=0.3, rtol=0)
    for x in (mixed, trace.x[-1]):
        torch.testing.assert_close(x, centres[[2, 0, 1]], atol=0.8, rtol=0)
    assert (view.x - CENTRES[view.y]).norm(dim=1).max() < 3  # each at its own label
    assert (view.x_neg - centres[view.y_neg]).norm(dim=1).max() < 1
    whole = labelled()[1].bincount()
    assert torch.equal(view.held_out_y.bincount(), (0.2 * whole).round().long())
    assert torch.equal(view.held_out_y.bincount() + view.data_y.bincount(), whole)
    torch.testing.assert_close(done.sample(50, 60, y=1).mean(0), centres[1], atol=0.1, rtol=0)
    with pytest.raises(EbmError, match="requires a condition y; say which: y=…"):
        done.sample(5)
    with pytest.raises(EbmError, match="one row for each of 5; got 2"):
        done.sample(5, y=[0, 1])


def test_chains_without_labels_have_those_of_the_batch():
    seen = []
    run(
        experiment(
            chains=lambda: at_labels, monitors=[(lambda view: seen.append(view) or {}, "end")]
        )
    )
    (view,) = seen
    assert torch.equal(view.y_neg, view.y)
    assert (view.x_neg - view.energy.centres[view.y_neg]).norm(dim=1).max() < 1


def test_an_optional_label_is_bound_only_when_asked_for():
    labels = []

    def loss(energy, x, x_neg, y_neg):
        labels.append(y_neg)
        return energy(x).mean() - energy(x_neg).mean()

    done = run(experiment(Optional, loss, chains=lambda: at_labels))
    assert labels == [None] * 6
    centres = done.energy.centres.detach()
    torch.testing.assert_close(done.sample(50, 60, y=2).mean(0), centres[2], atol=0.1, rtol=0)
    assert (done.sample(50, 60) - centres[2]).norm(dim=1).max() > 3


def test_what_lacks_its_labels_is_refused_in_a_sentence():
    bare = labelled()[0]
    for options, said in (
        ({"data": bare}, "energy requires labels `y`, and the data have none"),
        ({"data": bare, "energy": Optional, "loss": lambda energy, x, y: x.mean()},
         "loss 'lambda' asks for labels, `y`, and the data have none"),
        ({"energy": OfLevel}, "energy requires `t`, which a run doesn't bind"),
    ):  # fmt: skip
        options = {"stratify": False, **options}
        with pytest.raises(ConfigError, match=said):
            run(experiment(**options))
    with pytest.raises(ConfigError, match="stratify needs one whole number as label"):
        experiment(data=bare)
    plain = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    made = experiment(lambda: plain, lambda energy, x: energy(x).mean())
    with pytest.raises(EbmError, match="the energy takes no condition y"):
        run(made).sample(3, y=1)


@pytest.mark.parametrize("n_steps", [3, 30])  # in one graph, and in one that is repeated
def test_a_compiled_conditional_step_is_the_eager_one(n_steps):
    """The labels change from batch to batch, so they can't be constants of the graph."""
    steps = []
    warned = []
    for kind in (TrainStep, partial(CompiledStep, backend="aot_eager", warn=warned.append)):
        made = experiment(n_steps=n_steps, holdout=0.0, stratify=False)
        step = kind(made.assemble(), read_train({"steps": 4, "batch_size": 24}), made.streams, None)
        data = step.parts.data
        for i in range(4):
            rows = slice(24 * i, 24 * i + 24)
            done = step(data.x[rows], data.conditions.rows(rows), i)
        steps.append((step, done))
    (eager, expected), (compiled, found) = steps
    compiled.averaged = eager.averaged = nn.Linear(1, 1)
    assert_alike(eager, expected, compiled, found)
    assert warned == []
    assert compiled.mode == ("step" if n_steps == 3 else "blocks")


@pytest.fixture
def config():
    """A small conditional run of first-party parts, chains that are kept and restarted in it."""
    return {
        "data": {"type": "gaussian_mixture", "n": 80, "labels": True, "stratify": True},
        "energy": {
            "type": "class_conditional",
            "net": {"type": "mlp", "hidden": [8], "activation": "silu", "outputs": 5},
        },
        "sampler": {"type": "langevin", "n_steps": 2},
        "chains": {"type": "persistent", "size": 40, "reinit": 0.2, "init": "data"},
        "loss": {"type": "contrastive_divergence"},
        "train": {"steps": 14, "batch_size": 20, "checkpoint_every": "5 steps", "log_every": 1},
        "monitors": [{"type": "energies", "every": "5 steps"}],
        "plugins": {"files": []},
        "tracking": "off",
    }


@pytest.mark.plugins
def test_a_conditional_run_that_was_killed_goes_on_exactly(config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    whole = go(config, train__keep_checkpoints=9)
    resumed = resume(cut(whole, 5), config)
    assert_same(whole.dir, resumed.dir)
    kept = tensors(whole.dir)
    assert kept["chains/y"].shape == (40,)
    assert set(kept["chains/y"].tolist()) <= set(range(5))
    assert {"energies/data_mean", "energies/samples_mean", "energies/gap"} <= whole.metrics.keys()
    from ebmcore.cli.sample import command

    for label in (3.0, None):
        command(str(whole.dir), n=6, output="s.npz", y=label, steps=2, force=True)
        found = np.load("s.npz")
        x, y = torch.from_numpy(found["x"]), torch.from_numpy(found["y"])
        assert label is None or y.tolist() == [3] * 6
        energy = ebmcore.load(whole.dir).energy(x, y).detach()
        torch.testing.assert_close(torch.from_numpy(found["energy"]), energy)
    assert Path("s.npz").exists()
