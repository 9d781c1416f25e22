"""Experiments made of objects, without a config."""

from typing import NamedTuple

import pytest
import torch

import ebmcore
from ebmcore import ConfigError, EbmError, Experiment


def test_an_experiment_of_objects():
    class Bowl(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))

        def forward(self, x):
            return (self.weight * x).square().sum(1)

    def score_norm(energy, x):
        return ebmcore.energy_and_score(energy, x)[0].mean() * 0 + energy(x).mean()

    run = Experiment(
        data=torch.randn(100, 2, generator=torch.Generator().manual_seed(0)),
        energy=Bowl(),
        loss=[score_norm, (lambda energy: sum(p.sum() for p in energy.parameters()), 0.5)],
        monitors=[lambda view: {"step": float(view.step)}],
        seed=1,
    ).run(steps=4, batch_size=10, tracking="off", progress=False)
    assert run.status == "FINISHED"
    assert "made_of_objects" in (run.dir / "config.yaml").read_text()
    with pytest.raises(EbmError, match=r"energy=…"):
        ebmcore.load(run.dir)
    loaded = ebmcore.load(run.dir, energy=Bowl())
    assert torch.equal(loaded.energy.weight, run.energy.weight)
    with pytest.raises(EbmError, match="no sampler"):
        run.sample(3)


def test_an_experiment_checks_its_parts():
    x, net = torch.randn(20, 3), torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    with pytest.raises(ConfigError, match=r"energy: .*doesn't take events of shape \(3,\)"):
        Experiment(data=x, energy=net, loss=lambda energy, x: energy(x).mean()).run(
            steps=1, batch_size=4
        )
    with pytest.raises(ConfigError, match="asks for 'scale', which is no slot"):
        Experiment(data=x, energy=net, loss=lambda energy, x, scale: 0)
    with pytest.raises(ConfigError, match="sampler: missing"):
        Experiment(data=x, energy=net, loss=lambda energy, x, x_neg: 0)
    with pytest.raises(ConfigError, match=r"should be an nn\.Module"):
        Experiment(data=x, energy=lambda x: x, loss=lambda energy: 0)
    with pytest.raises(ConfigError, match="has no parameters to train"):
        Experiment(data=x, energy=torch.nn.Flatten(0), loss=lambda energy: 0).run(steps=1)
    with pytest.raises(ConfigError, match="row 2 of the data"):
        Experiment(data=torch.tensor([[1.0], [2.0], [float("nan")]]), energy=net, loss=len)


def test_a_kernel_refuses_an_energy_before_a_run_begins():
    class Picky(ebmcore.Kernel):
        def check(self, energy, x):
            assert energy(x).shape == (2,)
            raise ValueError(f"moves on bowls, and {type(energy).__name__} isn't one")

    net = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0))
    parts = {"data": torch.randn(20, 3), "energy": net, "loss": lambda energy: 0}
    with pytest.raises(ConfigError, match=r"^sampler: .*moves on bowls, and Sequential isn't"):
        Experiment(**parts, sampler=Picky()).run(steps=1, batch_size=4)


def test_a_view_tells_of_the_last_step_and_of_what_was_recorded():
    seen = []

    class Step(ebmcore.Kernel):
        implied_temperature = 1.0

        def init(self, energy, x):
            return Point(x)

        def noise(self, x, generator):
            return ()

        def step(self, energy, state, noise):
            return Point(state.x + 1), Told(energy(state.x).detach())

    class Point(NamedTuple):
        x: torch.Tensor

    class Told(NamedTuple):
        energy: torch.Tensor

    def look(view):
        trace = view.trace(3, 4, 2)
        seen.append((view, trace, {n: list(v) for n, v in view.history.items()}))
        return {"one": 1.0}

    class Bowl(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.width = torch.nn.Parameter(torch.ones(2))

        def forward(self, x):
            return (self.width * x).square().sum(1)

    energy, kernel = Bowl(), Step()
    run = ebmcore.Experiment(
        data=torch.randn(40, 2), energy=energy, n_steps=3, sampler=kernel,
        loss=lambda energy, x, x_neg: energy(x).mean() - energy(x_neg).mean(),
        chains=lambda x, generator: x.clone(), monitors=[(look, "2 steps")],
    ).run(steps=4, batch_size=8, log_every=2, tracking="off", progress=False)  # fmt: skip
    (first, trace, early), (last, _, late) = seen
    assert (first.at_end, last.at_end) == (False, True)
    assert run.warnings == []
    assert type(first.kernel) is type(kernel)  # a copy, so that a monitor can change nothing
    assert first.info.energy.shape == (8,)
    assert set(last.gradients) == {"width"}
    assert torch.equal(last.gradients["width"], energy.width.grad)
    assert [step for step, _ in early["loss"]] == [2]
    assert [step for step, _ in late["loss"]] == [2, 4]
    assert [step for step, _ in late["look/one"]] == [2]
    assert trace.x.shape == (2, 3, 2)
    torch.testing.assert_close(trace.x[1], trace.x[0] + 2)
    with pytest.raises(ValueError, match="thin should be from 1 to n_steps, 2; got 3"):
        first.trace(1, 2, 3)
