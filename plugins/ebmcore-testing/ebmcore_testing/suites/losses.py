"""The suite of losses: a scalar whose gradient leads the model to the data.

They are tried on Gaussian energies with a mean and a scale to learn, float64. What a loss, or its
suite, may declare beside what `suite.py` lists:

    shift_invariant       False when the value depends on the constant of the energy
    regulariser           True for a penalty, whose gradient leads to no data
    fitted_scale(scale)   the scale of the Gaussian at which the expected gradient is zero, for
                          data of N(0, scale²); None where it isn't known. Without it: scale.
    check_networks        as in `suite.py`; the loss may name them
    check_chains(x)       chains to call it with, for a batch of data x

A loss with parameters of its own is tried for the gradient's direction only if it is one without.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ebmcore_testing.failures import NotApplicable, require, require_close
from ebmcore_testing.host_sync import require_no_sync
from ebmcore_testing.measures.direction import DirectionChecks
from ebmcore_testing.measures.models import Shifted
from ebmcore_testing.measures.observed import (
    module_untouched,
    seeded,
    streams_untouched,
    tensors_untouched,
)

_H = 1e-5


class LossSuite(DirectionChecks):
    """The checks of a loss."""

    shift_invariant: bool | None = None

    def example(self, n: int = 8) -> tuple[nn.Module, Tensor, Tensor]:
        """Return an energy, data and samples that fit each other badly."""
        shape = self.shapes()[0]
        batch = self.rows(n, shape, seed=1)
        x_neg = batch.get("x_neg")
        if x_neg is None:
            x_neg = self.events(n, shape, seed=2)
            x_neg = x_neg if self.is_discrete() else 1.5 * x_neg
        return self.energy(shape), batch["x"], x_neg

    def test_scalar(self) -> None:
        """One finite number, in the dtype of the energies, and tensors or numbers to log."""
        found = self.value(*self.example())
        value, logged = found if isinstance(found, tuple) else (found, {})
        shape = tuple(value.shape) if isinstance(value, Tensor) else None
        require(
            shape == () and value.dtype == torch.float64,
            "scalar",
            expected="a 0-d tensor of the energies' dtype, torch.float64",
            measured=type(value).__name__ if shape is None else f"shape {shape}, {value.dtype}",
            allowed="that alone; what is to be logged goes beside it, in a mapping",
            cause="a .mean() that is missing, or an .item()",
        )
        require(
            isinstance(logged, Mapping) and all(_is_number(v) for v in logged.values()),
            "scalar",
            expected="a mapping from names to numbers beside the value",
            measured=repr(logged)[:80],
            allowed="floats and 0-d tensors",
            cause="a whole batch that is logged",
        )

    def test_finite(self) -> None:
        """Finite, with finite gradients, for a batch of many, of two, and far from the data."""
        for n in (2, 64):
            energy, x, x_neg = self.example(n)
            for at in (x,) if self.is_discrete() else (x, 10 * x):
                value = self.scalar(energy, at, x_neg)
                gradients = torch.autograd.grad(value, list(energy.parameters()), allow_unused=True)
                numbers = [value, *(g for g in gradients if g is not None)]
                require(
                    all(bool(number.isfinite().all()) for number in numbers),
                    "finite",
                    expected="a finite value and finite gradients",
                    measured=f"value {value.item():.4g} for {n} events",
                    allowed="no NaN and no infinity",
                    cause="a log or an exp of energies without logsumexp, or a deviation of one",
                )

    def test_shift_invariant(self) -> None:
        """The value doesn't change with the energy's constant, unless declared."""
        if not self.declared("shift_invariant", True, of=self.build()):
            raise NotApplicable("declared to depend on the energy's constant")
        energy, x, x_neg = self.example()
        values = [self.scalar(Shifted(energy, c), x, x_neg).detach() for c in (0.0, 3.7)]
        require_close(
            "shift_invariant",
            values[1],
            values[0],
            expected="the same value for E and for E + 3.7: only differences mean anything",
            cause="an energy that is used by itself; a penalty on it declares "
            "shift_invariant = False",
            tolerance=1e-9,
        )

    def test_gradient(self) -> None:
        """The gradient from autograd is that of differences, for the same random numbers."""
        energy, x, x_neg = self.example()
        loss = self.build()
        own = list(loss.parameters()) if isinstance(loss, nn.Module) else []
        parameters = [*energy.parameters(), *own]
        value = self.scalar(energy, x, x_neg, loss=loss)
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
        for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            v = torch.randn(parameter.shape, generator=seeded(i), dtype=torch.float64)
            moved = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter.add_(v, alpha=sign * _H)
                moved.append(self.scalar(energy, x, x_neg, loss=loss).detach())
                with torch.no_grad():
                    parameter.add_(v, alpha=-sign * _H)
            found = torch.zeros_like(parameter) if gradient is None else gradient
            require_close(
                "gradient",
                (found * v).sum(),
                (moved[0] - moved[1]) / (2 * _H),
                expected="the gradient w.r.t. the parameters, equal to differences of the loss",
                cause="torch.autograd.grad without create_graph=True, or a detach too many. If "
                "x_neg is drawn in the loss itself, declare an expected failure",
                tolerance=1e-6,
            )

    def test_no_host_sync(self) -> None:
        """The value and its gradient never wait for an accelerator."""
        energy, x, x_neg = self.example()
        loss = self.build()
        with require_no_sync("no_host_sync"):
            value = self.scalar(energy, x, x_neg, loss=loss)
            torch.autograd.grad(value, list(energy.parameters()), allow_unused=True)

    def test_inputs_untouched(self) -> None:
        """x, x_neg and the energy are left as they were, and nobody else's numbers move."""
        energy, x, x_neg = self.example()
        loss = self.build()
        check = "inputs_untouched"
        with (
            module_untouched(check, energy, "a backward() in the loss: that is the runner's"),
            tensors_untouched(check, {"x": x, "x_neg": x_neg}),
            streams_untouched(check),
        ):
            self.value(energy, x, x_neg, loss=loss)


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.ndim == 0
    return isinstance(value, (int, float)) and not math.isnan(value)
