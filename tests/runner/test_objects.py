"""Runs made of objects that are opened, evaluated and resumed from their record, and what lacks."""

import importlib
import os
import sys
from functools import partial

import pytest
import torch
import yaml

import ebmcore
from ebmcore import EbmError, Experiment
from support.runs import assert_same, change, cut, facts, lines, tensors

MODULE = """
import torch
from ebmcore import Chains, Kernel

class Net(torch.nn.Module):
    def __init__(self, width=4, *, act="silu"):
        super().__init__()
        self.width = width
        self.act = {"silu": torch.nn.SiLU(), "tanh": torch.nn.Tanh()}[act]
        self.spare = torch.nn.Linear(2, width)
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Linear(width, 1))

    def forward(self, x):
        return self.layers[1](self.act(self.layers[0](x))).squeeze(1) + x.square().sum(1)

class Points:
    def __init__(self, n=60, seed=1):
        self.n, self.seed = n, seed

    def __call__(self):
        return torch.randn(self.n, 2, generator=torch.Generator().manual_seed(self.seed))

class Kept(Chains):
    def __init__(self, size: int = 8):
        self.size, self._kept = size, None

    def start(self, x, generator=None):
        if self._kept is None:
            self._kept = torch.randn(self.size, 2, generator=generator)
        return self._kept[: len(x)]

    def state_dict(self):
        return {} if self._kept is None else {"kept": self._kept}

    def load_state_dict(self, state):
        self._kept = state.get("kept")

def walk(energy, x, generator, *, size=0.1):
    (slope,) = torch.autograd.grad(energy(x.requires_grad_()).sum(), x)
    return (x - size * slope + size**0.5 * torch.randn(x.shape, generator=generator)).detach()

def gap(energy, x, x_neg, *, scale=1.0):
    return scale * (energy(x).mean() - energy(x_neg).mean())

def judge(view, *, times=1.0):
    return {"mean": times * view.energy(view.held_out).mean().item()}
"""
TRAIN = {"steps": 12, "batch_size": 8, "checkpoint_every": "5 steps", "log_every": 2}
SILENT = {"tracking": "off", "progress": False}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A module of the user's own, on the path."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "own_parts.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("own_parts")
    sys.modules.pop("own_parts")


def make(parts, **given):
    torch.manual_seed(0)
    given = {"data": parts.Points(), "energy": parts.Net(6), **given}
    return Experiment(
        loss=[(partial(parts.gap, scale=0.5), 2.0)], chains=parts.Kept(),
        sampler=partial(parts.walk, size=0.05), n_steps=3, monitors=[(parts.judge, "4 steps")],
        optimizer=partial(torch.optim.SGD, lr=0.01, momentum=0.5), seed=4, compile=False, **given,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(parts, tmp_path_factory):
    """A run whose parts are all importable."""
    return make(parts).run(runs_dir=tmp_path_factory.mktemp("runs"), **SILENT, **TRAIN)


@pytest.fixture(scope="module")
def in_memory(parts, tmp_path_factory):
    """The same run of a tensor and of an energy that nothing can import."""

    class Inner(parts.Net):
        pass

    torch.manual_seed(0)
    experiment = make(parts, data=parts.Points()(), energy=Inner(6))
    return experiment.run(runs_dir=tmp_path_factory.mktemp("runs"), **SILENT, **TRAIN)


def judged(run_dir, **given):
    found = ebmcore.evaluate(run_dir, {"monitors": [{"type": "own_parts:judge"}]}, **given)
    assert not found.failed
    return found.metrics


def test_importable_parts_are_opened_from_the_record(whole):
    config = yaml.safe_load((whole.dir / "config.yaml").read_text())
    assert config["made_of_objects"]["missing"] == {}
    assert config["energy"] == {"type": "own_parts:Net", "width": 6, "act": "silu"}
    assert config["plugins"]["modules"] == ["own_parts"]
    run = ebmcore.load(whole.dir)
    assert torch.equal(run.energy.layers[0].weight, whole.energy.layers[0].weight)
    assert torch.equal(run.sample(5), whole.sample(5))
    x = torch.randn(4, 2)
    assert torch.equal(run.score(x).percentile, whole.score(x).percentile)
    held_out = whole.held_out.x
    assert judged(whole.dir) == {"judge/mean": whole.energy(held_out).mean().item()}


def test_a_resumed_run_of_objects_ends_the_same(whole, parts):
    made_again = ebmcore.resume(cut(whole, 5), progress=False).dir
    found = tensors(made_again)
    assert found.pop("state/state.streams.streams.weights.state") is not None  # then overwritten
    expected = tensors(whole.dir)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert lines(made_again) == lines(whole.dir)
    again = make(parts).resume(cut(whole, 10), **SILENT)  # with the recorded keys of `train`
    assert_same(whole.dir, again.dir)
    lost = cut(whole, 0)
    with pytest.raises(EbmError, match="ended before its first checkpoint, and only your objects"):
        ebmcore.resume(lost)


def test_parts_that_lack_are_named_and_handed_over(in_memory, parts):
    run_dir, data = in_memory.dir, parts.Points()()
    why = r"its energy can't be made again: Inner is defined inside a function.*energy=…"
    for opened in (lambda: ebmcore.load(run_dir), lambda: judged(run_dir, data=data)):
        with pytest.raises(EbmError, match=why):
            opened()
    why = r"since the record can't do it alone. data: it is in memory alone \(Tensor\); energy: "
    with pytest.raises(EbmError, match=why):
        ebmcore.resume(cut(in_memory, 5))
    run = ebmcore.load(run_dir, energy=parts.Net(6))
    assert torch.equal(run.sample(5), in_memory.sample(5))
    with pytest.raises(EbmError, match=r"data are those it was given.*data=…"):
        _ = run.train_data
    run = ebmcore.load(run_dir, energy=parts.Net(6), data=data)
    assert torch.equal(run.held_out.x, in_memory.held_out.x)
    with pytest.raises(EbmError, match=r"its data can't be made again: it is in memory alone"):
        judged(run_dir, energy=parts.Net(6))
    found = judged(run_dir, energy=parts.Net(6), data=data)
    assert found == {"judge/mean": in_memory.energy(in_memory.held_out.x).mean().item()}


def test_other_objects_than_the_runs_are_refused(in_memory, parts):
    with pytest.raises(EbmError, match="the weights don't fit the energy"):
        ebmcore.load(in_memory.dir, energy=parts.Net(5))
    with pytest.raises(EbmError, match=r"rows|held out"):
        judged(in_memory.dir, energy=parts.Net(6), data=torch.randn(50, 2))
    with pytest.raises(EbmError, match="the data changed since the run began"):
        make(parts, data=torch.randn(60, 2)).resume(cut(in_memory, 9), **SILENT)


@pytest.mark.parametrize(
    ("energy", "why"),
    [
        (lambda parts: parts.Net(6, act="tanh"), "differs in act"),  # which no attribute says
        (lambda parts: torch.nn.Sequential(parts.Net(2)), "making it again raised"),
        (lambda parts: tied(parts.Net(2)), "it differs"),
        (lambda parts: parts.Net(2).requires_grad_(False).apply(thaw), "differs in spare"),
    ],
)
def test_no_part_is_guessed(parts, energy, why):
    run = make(parts, energy=energy(parts)).run(steps=1, batch_size=8, **SILENT)
    config = yaml.safe_load((run.dir / "config.yaml").read_text())
    assert why in config["made_of_objects"]["missing"]["energy"]
    assert "energy" not in config


def tied(net):
    net.spare.weight = net.layers[0].weight
    return net


def thaw(module):
    if isinstance(module, torch.nn.Linear) and module.out_features == 1:
        module.requires_grad_(True)


def test_a_strangers_modules_are_not_imported(whole, tmp_path, monkeypatch):
    theirs = cut(whole, 11)
    (tmp_path / "evil.py").write_text("import pathlib; pathlib.Path('owned').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = (theirs / "config.yaml").read_text()
    (theirs / "config.yaml").write_text(text.replace("own_parts", "evil"))
    doors = (ebmcore.load, ebmcore.resume, lambda run: ebmcore.evaluate(run))
    for door in doors:
        with pytest.raises(EbmError, match=r"If you trust them, add -p module:evil"):
            door(theirs)
    (theirs / "config.yaml").write_text(text)
    change(theirs / "run.json", modules_seal=None)  # as in a directory of somebody else's
    for door in doors:
        with pytest.raises(EbmError, match=r"If you trust them, add -p module:own_parts"):
            door(theirs)
    assert ebmcore.load(theirs, plugins=["module:own_parts"]).step == 10
    assert not os.path.exists("owned")
    assert facts(theirs)["from_config"] is False


def test_a_module_gives_its_own_parts_alone(whole, parts):
    theirs = cut(whole, 9)
    text = (theirs / "config.yaml").read_text()
    (theirs / "config.yaml").write_text(text.replace("own_parts:Net", "own_parts:torch.nn.Linear"))
    with pytest.raises(EbmError, match=r"own_parts defines no class or function 'torch.nn.Linear'"):
        ebmcore.load(theirs, plugins=["module:own_parts"])


def test_a_module_that_is_gone_is_named(whole, monkeypatch):
    monkeypatch.setitem(sys.modules, "own_parts", None)
    with pytest.raises(
        EbmError, match=r"own_parts:Net: it can't be loaded: ModuleNotFound.*PYTHONPATH"
    ):
        ebmcore.load(whole.dir)
