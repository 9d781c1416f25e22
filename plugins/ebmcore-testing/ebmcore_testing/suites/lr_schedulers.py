"""The suite of learning-rate schedules: rates that make sense, and an exact resume.

A schedule whose `step` requires a value is given a metric that falls, rises and stays.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from ebmcore.config import maker, needs_argument
from ebmcore.train import load_schedule
from ebmcore_testing.failures import require
from ebmcore_testing.measures.observed import streams_untouched
from ebmcore_testing.measures.resumed import check_loaded, check_resumed
from ebmcore_testing.suites.suite import Suite

_RATES = (0.1, 0.02)
_STEPS = 40


class _Scheduled:
    """A schedule of an optimizer of two groups."""

    def __init__(self, suite: LRSchedulerSuite) -> None:
        self.optimizer = suite.optimizer()
        self.part: Any = suite.schedule(self.optimizer)
        self.follows = needs_argument(self.part)

    def step(self, number: int) -> None:
        for group in self.optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = torch.ones_like(weight)
        self.optimizer.step()  # torch's schedules warn of an optimizer that takes no step
        metric = 1 / (1 + number) if number < 5 else 0.25
        self.part.step(*([metric] if self.follows else []))

    def rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def values(self) -> list[Any]:
        return [*self.rates(), *(group["momentum"] for group in self.optimizer.param_groups)]

    def load(self, state: Any) -> None:
        load_schedule(self.part, state)

    def take_over(self, other: _Scheduled) -> None:
        self.optimizer.load_state_dict(other.optimizer.state_dict())


class LRSchedulerSuite(Suite):
    """The checks of a learning-rate schedule."""

    kind = "lr_scheduler"

    def optimizer(self) -> Optimizer:
        """Make the optimizer whose rates are scheduled, of two groups."""
        groups = [{"params": [nn.Parameter(torch.ones(2))], "lr": rate} for rate in _RATES]
        return SGD(groups, lr=_RATES[0], momentum=0.9)

    def schedule(self, optimizer: Optimizer) -> Any:
        """Make the schedule of an optimizer."""
        return maker(self.node())(optimizer)

    def build(self, **_options: Any) -> Any:
        """Make the schedule of a fresh optimizer."""
        return self.schedule(self.optimizer())

    def test_built(self) -> None:
        """It has the methods that a run calls, and leaves the weights and the groups."""
        optimizer = self.optimizer()
        made = self.schedule(optimizer)
        methods = ("step", "state_dict", "load_state_dict")
        missed = [name for name in methods if not callable(getattr(made, name, None))]
        groups = len(optimizer.param_groups)
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        require(
            not missed and groups == len(_RATES) and all(bool((p == 1).all()) for p in weights),
            "built",
            expected="step, state_dict and load_state_dict, and an optimizer of the same groups",
            measured=f"{', '.join(missed)} missing" if missed else "other groups or weights",
            allowed="a subclass of LRScheduler, or a class with these methods",
            cause="a function that returns none, or a constructor that steps the optimizer",
        )

    def test_rates(self) -> None:
        """Every group's rate stays a number that is not negative, and some rate changes."""
        scheduled = _Scheduled(self)
        found = [scheduled.rates()]
        for number in range(_STEPS):
            scheduled.step(number)
            found.append(scheduled.rates())
        flat = [float(rate) for rates in found for rate in rates]
        moves = any(rates != list(_RATES) for rates in found)
        fits = all(math.isfinite(rate) and rate >= 0 for rate in flat)
        require(
            fits and moves,
            "rates",
            expected="finite rates, none negative, of which some change",
            measured="NaN, infinite or negative ones" if not fits else "the optimizer's own",
            allowed=f"any change in {_STEPS} steps",
            cause="a `step` or `get_lr` that returns rates and doesn't set group['lr'], or a "
            "formula beyond its last step",
        )

    def test_state_dict_round_trip(self) -> None:
        """Another one that loads its state sets the same next rates, bit for bit."""
        check_resumed(partial(_Scheduled, self), "state_dict_round_trip")

    def test_load(self) -> None:
        """`load_state_dict` changes nothing of what it is given."""
        check_loaded(partial(_Scheduled, self), "load")

    def test_streams(self) -> None:
        """It draws from no global random stream."""
        with streams_untouched("streams"):
            scheduled = _Scheduled(self)
            scheduled.step(0)
            scheduled.step(1)
