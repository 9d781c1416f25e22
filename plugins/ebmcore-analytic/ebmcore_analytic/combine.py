"""Energies built from other energies: weighted sums, and other temperatures."""

from __future__ import annotations

from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ebmcore import Energy, PositiveFloat
from ebmcore_analytic.numerics.quadratic import Quadratic


class FunctionEnergy(nn.Module):
    """A plain function as a module without parameters."""

    def __init__(self, function: Energy) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,)."""
        return self.function(x)


class Combination(nn.Module):
    """A combination of energies, with log Z and exact samples where it is Gaussian."""

    name: ClassVar[str]

    def quadratic(self) -> Quadratic | None:
        """Return E as ½ xᵀPx - bᵀx + c, or None when it isn't known to be quadratic."""
        raise NotImplementedError

    @property
    def log_z(self) -> float | None:
        """Log Z in nats where all its terms are Gaussian and it is finite; else None."""
        whole = self.quadratic()
        return None if whole is None else whole.log_z()

    @property
    def can_sample(self) -> bool:
        """Whether `sample` can draw."""
        return self.log_z is not None

    @torch.no_grad()
    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n independent events of exp(-E)/Z, (n, *event_shape); see `Analytic.sample`."""
        whole = self.quadratic()
        if whole is None or whole.log_z() is None:
            raise ValueError(f"this {self.name} has no exact sampler; run a kernel on it")
        if n < 1:
            raise ValueError(f"n should be at least 1; got {n}")
        like = next(chain(self.parameters(), self.buffers()))
        return whole.sample(n, generator, like.device, like.dtype)


def parabola(x: Tensor) -> Tensor:
    """E(x) = ½‖x‖², to check combinations on."""
    return 0.5 * x.square().flatten(1).sum(1)


def log_cosh(x: Tensor) -> Tensor:
    """E(x) = Σᵢ log(2 cosh xᵢ), likewise."""
    return torch.logaddexp(x, -x).flatten(1).sum(1)


class Sum(Combination):
    """E(x) = Σᵢ wᵢ Eᵢ(x): a product of experts, p(x) ∝ Πᵢ pᵢ(x)^wᵢ.

    A term may be any energy, also a plain function; terms that are modules are trained too. A
    term of weight 0 is never called. `log_z` and `sample` are there when all terms of another
    weight are Gaussian, or sums or temperatures of Gaussians: then p is the Gaussian of the
    weighted sum of the precisions. `piecewise_linear` is true when it is of each of those terms.

    Shapes: x (batch, *event), as the terms take it -> (batch,), nats. Raises ValueError when
    `terms` is empty, the weights don't fit the terms or are all 0, or a term doesn't return one
    value per event.
    Source: Hinton 2002, "Training products of experts by minimizing contrastive divergence".

    Args:
        terms: The energies to add, each a node of its own or a reference to one.
        weights: One factor for each term, which may be negative; 1 when not given.
    """

    name = "sum"
    check_params: ClassVar[dict[str, object]] = {
        "terms": [parabola, log_cosh],
        "weights": [1.0, 0.5],
    }

    def __init__(self, terms: list[Energy], *, weights: list[float] | None = None) -> None:
        super().__init__()
        if not terms:
            raise ValueError("terms should hold at least one energy")
        weights = [1.0] * len(terms) if weights is None else list(weights)
        if len(weights) != len(terms):
            raise ValueError(
                f"weights should have one number for each of {len(terms)} terms; got {len(weights)}"
            )
        if not any(weights):
            raise ValueError(f"weights should not all be 0; got {weights}")
        self.terms = nn.ModuleList(module_from(term) for term in terms)
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, *event) -> (batch,)."""
        parts = [w * one_each(f"terms[{i}]", term(x), x) for i, w, term in self._active()]
        return torch.stack(parts).sum(0)

    @property
    def piecewise_linear(self) -> bool:
        """Whether the Hessian of every term that counts is 0 almost everywhere."""
        return all(getattr(term, "piecewise_linear", False) for _, _, term in self._active())

    def quadratic(self) -> Quadratic | None:
        """Return E as ½ xᵀPx - bᵀx + c, or None when a term isn't known to be quadratic."""
        whole: Quadratic | None = None
        for _, weight, term in self._active():
            part = quadratic_of(term)
            if part is None:
                return None
            part = part.times(weight)
            whole = part if whole is None else whole.plus(part)
        return whole

    def _active(self) -> list[tuple[int, float, nn.Module]]:
        pairs = zip(self.weights, self.terms, strict=True)
        return [(i, weight, term) for i, (weight, term) in enumerate(pairs) if weight != 0]


class Product(Sum):
    """E(x) = Σᵢ wᵢ Eᵢ(x), p(x) ∝ Πᵢ pᵢ(x)^wᵢ, "both one and the other": `sum` by its law's name.

    Shapes: x (batch, *event), as the terms take it -> (batch,), nats. Raises ValueError as `sum`
    does.
    Source: Hinton 2002; Du, Li and Mordatch 2020, "Compositional visual generation with energy
    based models".

    Args:
        terms: The energies whose densities are multiplied, each a node of its own or a reference
            to one.
        weights: One exponent for each term, which may be negative; 1 when not given.
    """

    name = "product"


class Tempered(Combination):
    """E(x) = E₀(x) / T: flatter than E₀ for T > 1, sharper for T < 1; p(x) ∝ p₀(x)^(1/T).

    `log_z` and `sample` are there when E₀ is Gaussian, or a sum or temperature of Gaussians: then
    every covariance is multiplied by T. `piecewise_linear` is E₀'s.

    Shapes: x (batch, *event), as the energy takes it -> (batch,), nats. Raises ValueError when T is
    not positive, or the energy doesn't return one value per event.

    Args:
        energy: The energy that is divided, a node of its own or a reference to one.
        temperature: T.
    """

    name = "tempered"
    check_params: ClassVar[dict[str, object]] = {"energy": log_cosh, "temperature": 2.0}

    def __init__(self, energy: Energy, *, temperature: PositiveFloat = 1.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature should be positive; got {temperature}")
        self.energy = module_from(energy)
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, *event) -> (batch,)."""
        return one_each("the energy", self.energy(x), x) / self.temperature

    @property
    def piecewise_linear(self) -> bool:
        """Whether the energy's Hessian is 0 almost everywhere."""
        return bool(getattr(self.energy, "piecewise_linear", False))

    def quadratic(self) -> Quadratic | None:
        """Return E as ½ xᵀPx - bᵀx + c, or None when it isn't known to be quadratic."""
        whole = quadratic_of(self.energy)
        return None if whole is None else whole.times(1 / self.temperature)


def module_from(energy: Energy) -> nn.Module:
    """Return a module as it is, and a function as a module."""
    return energy if isinstance(energy, nn.Module) else FunctionEnergy(energy)


def without_values(energy: nn.Module) -> bool:
    """Whether an energy is on the meta device, as in a dry run."""
    return any(tensor.is_meta for tensor in chain(energy.parameters(), energy.buffers()))


def quadratic_of(energy: Any) -> Quadratic | None:
    """Return an energy's quadratic form; None when it doesn't define `quadratic`."""
    ask = getattr(energy, "quadratic", None)
    found = ask() if callable(ask) else None
    return found if isinstance(found, Quadratic) else None


def one_each(name: str, values: Tensor, x: Tensor) -> Tensor:
    """Return the energies of one term. Raises ValueError unless there is one for each event."""
    if values.shape != x.shape[:1]:
        raise ValueError(
            f"{name} should return one value per event, shape {tuple(x.shape[:1])}; "
            f"got {tuple(values.shape)}. Sum over the event's dimensions first."
        )
    return values
