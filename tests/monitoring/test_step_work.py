"""Monitors of one step share draws and results, and none depends on those beside it."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import Chains, Start
from ebmcore.config import Cadence
from ebmcore.monitoring.run import SHARE, MonitorRunner
from ebmcore.monitoring.step_work import LARGEST, StepWork
from ebmcore.train.components import MonitorEntry
from ebmcore.train.rng import Streams


class Stays(Chains):
    """Forty chains that began at noise, numbered, as if a step left them there."""

    begins_at_data = False

    def start(self, x, generator):
        return Start(x)

    def kept(self):
        return Start(torch.arange(40.0)[:, None].expand(40, 2))


def counting(rows):
    """Make a kernel that adds noise, and lists how many chains it moves."""

    def kernel(energy, x, generator):
        rows.append(len(x))
        return x + 0.01 * torch.rand(x.shape, generator=generator)

    return kernel


def ask(asked, rows=None, seed=0):
    """Train a step with one monitor for each function of a view; return their results."""
    seen = {}

    def monitor_of(key, look):
        def monitor(view):
            seen[key] = look(view)
            return {}

        monitor.__name__ = key
        return monitor

    torch.manual_seed(0)
    ebmcore.Experiment(
        data=torch.zeros(40, 2), energy=nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)),
        loss=lambda energy, x, x_neg: energy(x).mean() - energy(x_neg).mean(), n_steps=1,
        sampler=counting([] if rows is None else rows), chains=Stays(), device="cpu", seed=seed,
        monitors=[(monitor_of(key, look), "end") for key, look in asked.items()],
    ).run(steps=1, batch_size=8, tracking="off", progress=False)  # fmt: skip
    return seen


def test_monitors_get_the_head_of_one_pool():
    asks = {f"n{n}": lambda view, n=n: view.sample(n, 3) for n in (3, 70, 130)}
    together = ask(asks)
    assert torch.equal(together["n3"], together["n130"][:3])
    assert torch.equal(together["n70"], together["n130"][:70])
    for key, look in asks.items():
        assert torch.equal(ask({key: look})[key], together[key])
    turned = ask(dict(reversed(asks.items())))
    assert all(torch.equal(turned[key], together[key]) for key in asks)
    assert not torch.equal(ask({"n3": asks["n3"]}, seed=1)["n3"], together["n3"])


def test_a_pool_is_drawn_once():
    rows = []
    ask({"a": lambda view: view.sample(10, 2), "b": lambda view: view.sample(64, 2)}, rows)
    assert rows[-2:] == [64, 64]  # chains, at each of two steps
    assert rows.count(64) == 2
    seen = ask({
        "short": lambda view: view.sample(5, 1), "long": lambda view: view.sample(5, 2),
        "default": lambda view: view.sample(5), "ten": lambda view: view.sample(5, 10),
    })  # fmt: skip
    assert torch.equal(seen["default"], seen["ten"])
    assert not torch.equal(seen["short"], seen["long"])


def test_a_monitor_may_change_its_own_samples():
    def spoil(view):
        return view.sample(64, 1).zero_()

    seen = ask({"spoil": spoil, "look": lambda view: view.sample(64, 1)})
    assert seen["look"].max() > 0


def test_kept_chains_begin_equally_often_over_blocks():
    x = ask({"look": lambda view: view.sample(120, 1)})["look"]
    for part in x[:, 0].floor().split(40):
        assert sorted(part.tolist()) == list(range(40))
    assert x[:40, 0].floor().tolist() != x[40:80, 0].floor().tolist()
    assert len(torch.unique(x[:, 0])) == 120


def test_blocks_don_t_outgrow_the_cache():
    rows = []
    ask({"look": lambda view: view.sample(3000, 1)}, rows)
    assert rows[-7:] == [64, 64, 128, 256, 512, LARGEST, LARGEST]


def test_results_are_made_once_from_a_stream_of_their_key():
    made = []

    def make(view):
        made.append(view.step)
        return torch.randn(2, generator=view.generator), torch.rand(2), view.sample(4, 1)

    def look(view):
        torch.randn(3, generator=view.generator)
        return view.once(("test", "work", 2), make)

    asks = {"a": look, "b": look, "other": lambda view: view.once(("test", "work", 3), make)}
    seen = ask(asks)
    assert made == [1, 1]
    assert seen["a"] is seen["b"]
    alone = ask({"b": look})["b"]
    for one, other in zip(seen["a"], alone, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(seen["a"][:2], seen["other"][:2], strict=True):
        assert not torch.equal(one, other)


def test_work_that_fails_is_not_kept():
    work = StepWork(Streams(0).derived, torch.device("cpu"))
    with pytest.raises(ZeroDivisionError):
        work.once("key", lambda generator: 1 / 0)
    assert work.once("key", lambda generator: 5) == 5


def test_a_monitor_at_auto_keeps_its_share(monkeypatch):
    """Its first call takes 1 s; each step 1 s, so it waits until 50 have passed, and again."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        "ebmcore.monitoring.run.time", SimpleNamespace(perf_counter=lambda: clock.now)
    )
    ran = []

    def costly(view):
        ran.append(view.step)
        clock.now += 1
        return {}

    runner, energy = runner_of(MonitorEntry("m", costly, Cadence.of_monitor("auto", "1 step"), "m"))
    for step in range(1, 121):
        clock.now += 1
        runner(energy, None, step, 10, step == 120, None)
        if step == 60:  # a resumed run goes on counting
            state, (runner, energy) = runner.state_dict(), runner_of(runner.parts.monitors[0])
            clock.now += 1000
            runner.load_state_dict(state)
    assert ran == [1, 49, 98, 120]  # after 1, 50 and 100 seconds, and at the end
    assert SHARE == 0.02

    ran.clear()
    runner, energy = runner_of(runner.parts.monitors[0])
    for step, rest in ((1, False), (1, True), (2, False), (2, True)):  # `rest`: it ends here
        clock.now += 1
        assert runner.due(step, 10, rest, rest=rest)
        runner(energy, None, step, 10, rest, None, rest=rest)
    assert ran == [1, 2]

    ran.clear()
    runner.parts.lr_metric = "m/loss"  # the weights depend on it
    for step in (3, 4, 5):
        runner(energy, None, step, 10, False, None)
    assert ran == [3, 4, 5]


def runner_of(entry):
    energy = nn.Linear(2, 1)
    data = SimpleNamespace(x=torch.zeros(4, 2), held_out=torch.zeros(0, 2), **dict.fromkeys(UNUSED))
    parts = SimpleNamespace(
        monitors=(entry,), device=torch.device("cpu"), networks={}, sampler=None, data=data,
        energy=energy, lr_metric=None,
    )  # fmt: skip
    return MonitorRunner(parts, Streams(0), print, print, print), energy


UNUSED = (
    *("y", "held_out_y", "mask", "held_out_mask", "source", "bounds", "space", "transforms"),
    *("held_out_log_det", "columns"),
)
