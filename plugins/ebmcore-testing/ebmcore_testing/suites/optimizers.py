"""The suite of optimizers: they descend, resume exactly, and follow the learning rate.

check_shapes   the shapes of the weights to move, by default (3, 2) and (4,)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ebmcore.config import maker, needs_argument
from ebmcore.train import load_state
from ebmcore_testing.failures import NotApplicable, require
from ebmcore_testing.host_sync import require_no_sync
from ebmcore_testing.measures.observed import seeded, streams_untouched, tensors_untouched
from ebmcore_testing.measures.resumed import check_loaded, check_resumed
from ebmcore_testing.suites.suite import Suite

_CPU = torch.device("cpu")
_META = torch.device("meta")
_SHAPES = ((3, 2), (4,))
_DESCENT = 60  # steps


class _Moved:
    """An optimizer with its weights, whose gradients follow from the number of the step."""

    def __init__(self, suite: OptimizerSuite) -> None:
        self.weights = suite.weights()
        self.part: Any = suite.optimizer(self.weights)

    def step(self, number: int) -> None:
        generator = seeded(number)
        for weight in self.weights:
            weight.grad = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        self.part.step()

    def values(self) -> list[Tensor]:
        return [weight.detach().clone() for weight in self.weights]

    def load(self, state: Any) -> None:
        load_state(self.part, state)

    def take_over(self, other: _Moved) -> None:
        with torch.no_grad():
            for mine, its in zip(self.weights, other.weights, strict=True):
                mine.copy_(its)


class OptimizerSuite(Suite):
    """The checks of an optimizer."""

    kind = "optimizer"

    def weights(
        self, *, device: torch.device = _CPU, dtype: torch.dtype = torch.float64
    ) -> list[nn.Parameter]:
        """Make weights to move, the same ones each time."""
        shapes: Sequence[tuple[int, ...]] = self.declared("check_shapes", _SHAPES)
        generator = seeded(3)
        made = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
        return [nn.Parameter(tensor.to(device)) for tensor in made]

    def optimizer(self, parameters: Any) -> Any:
        """Make the optimizer of these parameters, or of groups of them."""
        return maker(self.node())(parameters)

    def build(self, *, device: torch.device = _CPU, **_options: Any) -> Any:
        """Make the optimizer of fresh weights."""
        return self.optimizer(self.weights(device=device))

    def test_built(self) -> None:
        """It is torch's Optimizer, holds every weight, and its step needs no argument."""
        weights = self.weights()
        made = self.optimizer(weights)
        is_one = isinstance(made, Optimizer)
        held = [id(p) for g in made.param_groups for p in g["params"]] if is_one else []
        require(
            is_one and held == [id(weight) for weight in weights],
            "built",
            expected="a torch.optim.Optimizer that holds all parameters, in their order",
            measured=f"{len(held)} of {len(weights)} of them" if is_one else type(made).__name__,
            allowed="a subclass of torch.optim.Optimizer that calls super().__init__(params, …)",
            cause="a class of its own, or a function that returns none",
        )
        require(
            not needs_argument(type(made)),
            "built",
            expected="a `step` that can be called without an argument",
            measured="one that requires a function",
            allowed="def step(self, closure=None)",
            cause="an optimizer that evaluates the loss several times; a training step computes "
            "gradients once",
        )

    def test_decreases(self) -> None:
        """Steps along the gradients of ½ Σ w² bring it down."""
        weights = self.weights()
        made = self.optimizer(weights)
        values = []
        for _ in range(_DESCENT):
            made.zero_grad()
            value = 0.5 * sum(weight.square().sum() for weight in weights)
            assert isinstance(value, Tensor)
            value.backward()  # type: ignore[no-untyped-call] # torch's own
            values.append(float(value.detach()))
            made.step()
        require(
            values[-1] < values[0],
            "decreases",
            expected=f"a lower ½ Σ w² after {_DESCENT} steps",
            measured=f"{values[-1]:.6g}, from {values[0]:.6g}",
            allowed="anything lower",
            cause="a sign, or a default step so large that it overshoots",
        )

    def test_state_dict_round_trip(self) -> None:
        """Another one that loads its state takes the same next steps, bit for bit."""
        check_resumed(partial(_Moved, self), "state_dict_round_trip")

    def test_load(self) -> None:
        """`load_state_dict` changes nothing of what it is given."""
        check_loaded(partial(_Moved, self), "load")

    def test_param_groups(self) -> None:
        """Groups keep their own learning rates and move with them."""
        rate = self._rate("param_groups")
        one, other = (nn.Parameter(self.weights()[0].detach().clone()) for _ in range(2))
        made = self.optimizer([{"params": [one]}, {"params": [other], "lr": rate / 2}])
        found = [group.get("lr") for group in made.param_groups]
        for weight in (one, other):
            weight.grad = torch.ones_like(weight)
        made.step()
        require(
            found == [rate, rate / 2] and not torch.equal(one, other),
            "param_groups",
            expected=f"groups of rates {rate:g} and {rate / 2:g}, whose weights move differently",
            measured=f"rates {found}, and equal steps" if torch.equal(one, other) else f"{found}",
            allowed="a step that reads group['lr'] of each group",
            cause="a rate kept as an attribute (self.lr), or a loop over the first group alone",
        )

    def test_learning_rate(self) -> None:
        """A step uses the rate that a schedule set before it."""
        rate = self._rate("learning_rate")
        usual, slowed = _Moved(self), _Moved(self)
        for group in slowed.part.param_groups:
            group["lr"] = rate / 3
        usual.step(0)
        slowed.step(0)
        same = all(map(torch.equal, usual.values(), slowed.values()))
        require(
            not same,
            "learning_rate",
            expected="another step after group['lr'] changed",
            measured="the same step",
            allowed="a step that reads group['lr'] when it is taken",
            cause="a rate that is read once, in the constructor",
        )

    def _rate(self, check: str) -> float:
        rate = self.build().param_groups[0].get("lr")
        if rate is None:
            raise NotApplicable("its groups have no 'lr', so no schedule can change it")
        require(
            isinstance(rate, float) and rate > 0,
            check,
            expected="a positive learning rate, group['lr']",
            measured=repr(rate),
            allowed="a float",
            cause="a tensor or a text; the run records it as train/lr",
        )
        return float(rate)

    def test_missing_gradients(self) -> None:
        """A weight without a gradient stays as it is, and gets none."""
        moved = _Moved(self)
        moved.step(0)
        before = moved.values()
        for weight in moved.weights:
            weight.grad = None
        moved.part.step()
        still = all(map(torch.equal, before, moved.values()))
        require(
            still and all(weight.grad is None for weight in moved.weights),
            "missing_gradients",
            expected="weights whose `grad` is None stay as they are",
            measured="they moved" if not still else "they have a gradient now",
            allowed="no change",
            cause="weight decay or momentum that is applied before `if weight.grad is None`",
        )

    def test_gradients_untouched(self) -> None:
        """A step writes to no gradient; metrics and averages over ranks read them, too."""
        moved = _Moved(self)
        moved.step(0)
        for i, weight in enumerate(moved.weights):
            weight.grad = torch.randn(weight.shape, generator=seeded(9 + i), dtype=weight.dtype)
        gradients = {f"gradient {i}": w.grad for i, w in enumerate(moved.weights)}
        with tensors_untouched("gradients_untouched", gradients):
            moved.part.step()

    def test_streams(self) -> None:
        """It draws from no global random stream: each rank has its own, and weights would part."""
        with streams_untouched("streams"):
            moved = _Moved(self)
            moved.step(0)
            moved.step(1)

    def test_meta_device(self) -> None:
        """Made and stepped on the meta device, as `--dry-run` does it."""
        weights = self.weights(device=_META)
        made = self.optimizer(weights)
        for weight in weights:
            weight.grad = torch.empty_like(weight)
        made.step()
        with require_no_sync("meta_device", "meta"):
            made.step()
