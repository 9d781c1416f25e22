"""Optimizers and schedules that a run couldn't train with, or resume exactly, say so before it."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau, StepLR

from ebmcore import ConfigError, Experiment
from ebmcore.config import read_train
from support.plugins import optim_parts as own

PLATEAU = partial(ReduceLROnPlateau, patience=1)


def square(energy, x):
    return energy(x).square().mean()


def checked(**options):
    """Check an experiment, and return it with its parts and its warnings."""
    torch.manual_seed(0)
    energy = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1), nn.Flatten(0))
    made = Experiment(data=torch.randn(40, 2), energy=energy, loss=square, device="cpu", **options)
    before = [p.detach().clone() for p in energy.parameters()]
    random = torch.get_rng_state()
    parts = made.assemble()
    made.check(parts, read_train({"steps": 4, "batch_size": 10}))
    assert all(map(torch.equal, before, energy.parameters()))
    assert torch.equal(random, torch.get_rng_state())
    return made, parts


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": own.Heavy, "lr_scheduler": own.Halves},
        {"optimizer": own.slow_sgd, "lr_scheduler": partial(StepLR, step_size=2)},
        {"lr_scheduler": lambda o: LambdaLR(o, lambda step: 1 / (step + 1))},
        {"lr_scheduler": PLATEAU, "lr_metric": "loss"},
        {"optimizer": lambda _: own.Heavy([nn.Parameter(torch.ones(2))])},  # of other weights
    ],
    ids=["own", "function", "lambda", "plateau", "elsewhere"],
)
def test_those_that_keep_their_state_say_nothing(options):
    assert checked(**options)[0].warnings == []


@pytest.mark.parametrize(
    ("options", "name"),
    [({"optimizer": own.Forgets}, "Forgets"), ({"lr_scheduler": own.Forgetful}, "Forgetful")],
    ids=["optimizer", "lr_scheduler"],
)
def test_hidden_state_is_warned_of(options, name):
    (text,) = checked(**options)[0].warnings
    assert text.startswith(f"this run can't be resumed bit for bit: {name} was tried")
    assert "its next steps differ" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": own.Hoards}, r"optimizer: Hoards can't be saved.*'state_dict.state.0.seen'"),
        ({"optimizer": own.nothing}, r"optimizer: should make a torch.optim.Optimizer; got None"),
        ({"optimizer": torch.optim.LBFGS}, "optimizer: the step of LBFGS calls the loss itself"),
        ({"lr_scheduler": PLATEAU}, r"lr_scheduler\.metric: missing; name the metric that Reduce"),
        (
            {"lr_scheduler": partial(StepLR, step_size=2), "lr_metric": "loss"},
            r"lr_scheduler\.metric: StepLR follows no metric",
        ),
        ({"lr_scheduler": lambda optimizer: 1}, "lr_scheduler: should make a schedule with step"),
        ({"lr_interval": "week", "lr_scheduler": own.Halves}, r"lr_scheduler\.interval: should be"),
    ],
    ids=["unsaveable", "none", "closure", "metric", "no metric", "number", "interval"],
)
def test_those_that_cannot_train_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        checked(**options)


def test_an_object_of_a_schedule_is_taken_with_its_optimizer():
    energy = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    optimizer = torch.optim.SGD(energy.parameters(), lr=0.1)
    options = {"data": torch.randn(40, 2), "energy": energy, "loss": square, "device": "cpu"}
    schedule = StepLR(optimizer, 2)
    parts = Experiment(optimizer=optimizer, lr_scheduler=schedule, **options).assemble()
    assert parts.lr_scheduler is schedule
    with pytest.raises(ConfigError, match="was made for another optimizer"):
        Experiment(lr_scheduler=schedule, **options).assemble()
