"""The checks of an energy's derivatives in x: against central differences, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ebmcore_testing.failures import NotApplicable, require, require_close
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.suites.suite import Suite

_H = 1e-5  # of a central difference in float64: its error is near 1e-10
_EVENTS = 8  # the most that are tried at once
_WRONG_GRADIENT = "a detach, a no_grad or an .item() in forward, or a backward written by hand"


class DerivativeChecks(Suite):
    """Checks of an energy's gradient and Hessian."""

    kind = "energy"
    piecewise_linear: bool | None = None

    def energies(
        self, *, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """Build the energy for each event shape, in evaluation mode."""
        for shape in self.shapes():
            energy = self.build(event_shape=shape, seed=seed, dtype=dtype)
            if isinstance(energy, nn.Module):
                energy = energy.to(dtype).eval()
            yield energy, shape

    def values(self, energy: Any, x: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return E(x), or E(x, y) with the conditions in these rows of `check_batch`."""
        if self.given("check_batch") is None:
            plain: Tensor = energy(x)
            return plain
        rows = torch.arange(len(x)) if rows is None else rows
        batch = self.rows(_EVENTS, tuple(x.shape[1:]), seed=1)
        beside = {name: v[rows].to(x.device) for name, v in batch.items() if name != "x"}
        beside = {n: v.to(x.dtype) if v.is_floating_point() else v for n, v in beside.items()}
        values: Tensor = energy(x, **beside)
        return values

    def _floats(self) -> None:
        if not self.events(1, self.shapes()[0]).is_floating_point():
            raise NotApplicable("its events are whole numbers, so E(x) has no derivative")

    def test_gradient(self) -> None:
        """∇E from autograd is that of central differences, in float64."""
        self._floats()
        for energy, shape in self.energies():
            x, v = self.events(_EVENTS, shape, seed=1), _directions(shape)
            energy = partial(self.values, energy)
            with torch.no_grad():
                differences = (energy(x + _H * v) - energy(x - _H * v)) / (2 * _H)
            require_close(
                "gradient",
                _directional(_gradient(energy, x), v),
                differences,
                expected="∇E·v, from autograd, equal to (E(x + hv) - E(x - hv)) / 2h",
                cause=_WRONG_GRADIENT,
                tolerance=1e-6,
            )

    def test_second_derivative(self) -> None:
        """The gradient can be differentiated again, unless `piecewise_linear` is declared."""
        self._floats()
        for energy, shape in self.energies():
            if self.declared("piecewise_linear", False, of=energy):
                raise NotApplicable("declared piecewise linear: its Hessian is 0 almost everywhere")
            x, v = self.events(_EVENTS, shape, seed=1), _directions(shape)
            energy = partial(self.values, energy)
            twice = _hessian_times(energy, x, v)
            ahead, behind = _gradient(energy, x + _H * v), _gradient(energy, x - _H * v)
            require_close(
                "second_derivative",
                twice,
                (ahead - behind) / (2 * _H),
                expected="the Hessian times v, from autograd, equal to differences of ∇E",
                cause="an operation with no second derivative, or a detach in forward",
                tolerance=1e-5,
            )
            with torch.no_grad():
                bend = energy(x) - (energy(x + 3 * v) + energy(x - 3 * v)) / 2
            require(
                bool(twice.abs().max() > 0) or bool(bend.abs().max() < 1e-9),
                "second_derivative",
                expected="an energy that bends has a Hessian",
                measured="the Hessian is 0 everywhere, though E is not linear",
                allowed="that, where the energy declares piecewise_linear = True",
                cause="relu or leaky_relu: score matching learns nothing from such an energy. "
                "Use silu, softplus or tanh, or declare it",
            )


def _directions(shape: tuple[int, ...]) -> Tensor:
    return torch.randn((_EVENTS, *shape), generator=seeded(2), dtype=torch.float64)


def _gradient(energy: Any, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(x).sum(), x)
    return gradient


def _hessian_times(energy: Any, x: Tensor, v: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    if not gradient.requires_grad:  # E is linear in x
        return torch.zeros_like(x)
    (twice,) = torch.autograd.grad((gradient * v).sum(), x, allow_unused=True)
    return torch.zeros_like(x) if twice is None else twice


def _directional(gradient: Tensor, v: Tensor) -> Tensor:
    return (gradient * v).flatten(1).sum(1)
