"""Densities whose log Z is known, from which a path to an energy begins.

    Gaussian   N(μ, LLᵀ) over the flattened event, given or fitted to points
    Uniform    the uniform law on bits or categories

Each has `energy`, -log p(x) with its normaliser, so that its own log Z is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from ebmcore import Real, Space

MOST_CORRELATED = 1024  # numbers of an event, at most, whose correlations a fit takes
RIDGE = 1e-3  # share of the mean variance that a fit adds to each: a constant number has width


class Base(Protocol):
    """A normalised density that can be drawn from."""

    event_shape: tuple[int, ...]
    space: Space

    def energy(self, x: Tensor) -> Tensor:
        """Return -log p(x), (n, *event) -> (n,), in nats."""

    def sample(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n events, (n, *event)."""


class Gaussian:
    """N(μ, LLᵀ) over the flattened event, in whose coordinates z = L⁻¹(x - μ) it is N(0, I).

    Args:
        mean: μ, (*event).
        root: L: standard deviations (features,), or a lower triangular matrix
            (features, features).
    """

    space: Space = Real()

    def __init__(self, mean: Tensor, root: Tensor) -> None:
        features = mean.numel()
        if root.shape not in ((features,), (features, features)):
            raise ValueError(
                f"root should have shape ({features},) or ({features}, {features}) for a mean of "
                f"{features} numbers; got {tuple(root.shape)}"
            )
        self.event_shape = tuple(mean.shape)
        self.mean = mean.flatten()
        self.root = root
        diagonal = root if root.ndim == 1 else root.diagonal()
        if not bool((diagonal > 0).all()):
            raise ValueError("root should have a positive diagonal")
        self.constant = float(diagonal.double().log().sum()) + features / 2 * math.log(2 * math.pi)

    @classmethod
    def standard(
        cls,
        event_shape: Sequence[int],
        *,
        scale: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Gaussian:
        """Return N(0, scale² I)."""
        mean = torch.zeros(tuple(event_shape), device=device, dtype=dtype)
        return cls(mean, torch.full_like(mean.flatten(), scale))

    @classmethod
    def fitted(cls, points: Tensor) -> Gaussian:
        """Return the Gaussian of the mean and the covariance of points, (n, *event).

        Correlations count where there are twice as many points as numbers, of which there are at
        most 1,024, and shrink by n/(n + d). Raises ValueError for fewer than two points.
        """
        if len(points) < 2:
            raise ValueError(f"a Gaussian is fitted to two points or more; got {len(points)}")
        flat = points.detach().flatten(1).double()
        n, d = flat.shape
        variance = flat.var(0)
        ridge = max(RIDGE * float(variance.mean()), 1e-12)
        mean = flat.mean(0).reshape(points.shape[1:]).to(points)
        if d > MOST_CORRELATED or n < 2 * d:
            return cls(mean, (variance + ridge).sqrt().to(points))
        covariance = flat.T.cov().reshape(d, d) * (n / (n + d))
        covariance.diagonal().copy_(variance + ridge)
        return cls(mean, torch.linalg.cholesky(covariance).to(points))

    def at(self, z: Tensor) -> Tensor:
        """Return x = μ + Lz, (n, features) -> (n, *event)."""
        if self.root.ndim == 1:
            flat = torch.addcmul(self.mean, z, self.root)
        else:
            flat = torch.addmm(self.mean, z, self.root.T)
        return flat.reshape(len(z), *self.event_shape)

    def pulled(self, score: Tensor) -> Tensor:
        """Return Lᵀs, a score in x as one in z, (n, *event) -> (n, features)."""
        flat = score.flatten(1)
        return flat * self.root if self.root.ndim == 1 else flat @ self.root

    def whitened(self, x: Tensor) -> Tensor:
        """Return z = L⁻¹(x - μ), (n, *event) -> (n, features)."""
        away = x.flatten(1) - self.mean
        if self.root.ndim == 1:
            return away / self.root
        white: Tensor = torch.linalg.solve_triangular(self.root, away.T, upper=False).T
        return white

    def energy_of(self, z: Tensor) -> Tensor:
        """Return -log p at x = μ + Lz, (n, features) -> (n,), in nats."""
        return 0.5 * z.square().sum(1) + self.constant

    def energy(self, x: Tensor) -> Tensor:
        """Return -log p(x), (n, *event) -> (n,), in nats."""
        return self.energy_of(self.whitened(x))

    def sample(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n events, (n, *event)."""
        like = self.mean
        shape = (n, len(like))
        noise = torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
        return self.at(noise)


class Uniform:
    """The uniform law on the events of a discrete space.

    Args:
        event_shape: The shape of one event.
        space: Bits or categories. Raises ValueError for a space of infinitely many events.
        device: Where events are drawn.
        dtype: The run's floats; categories are int64 all the same.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        space: Space,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = space.sizes(event_shape)
        if sizes is None:
            raise ValueError(f"{space} events have no uniform law; give a Gaussian")
        if len(set(sizes)) > 1:
            raise ValueError(f"the numbers of {space} events take different numbers of values")
        self.event_shape = tuple(event_shape)
        self.space = space
        self.values = sizes[0]
        self.constant = len(sizes) * math.log(self.values)
        self.device, self.dtype = device, dtype

    def energy(self, x: Tensor) -> Tensor:
        """Return the log of the number of events, (n, *event) -> (n,), in nats."""
        dtype = x.dtype if x.is_floating_point() else self.dtype or torch.get_default_dtype()
        return torch.full((len(x),), self.constant, device=x.device, dtype=dtype)

    def sample(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n events, (n, *event)."""
        return self.space.sample((n, *self.event_shape), generator, self.device, self.dtype)
