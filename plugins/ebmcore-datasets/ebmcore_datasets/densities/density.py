"""Base classes of datasets with a known density: `log_prob`, `entropy` and `entropy_error`."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Generator, Tensor

from ebmcore_datasets.densities.entropy import DRAWS, Entropy, by_draws, by_grid
from ebmcore_datasets.densities.rng import normal

CHUNK = 2**18  # numbers of one intermediate result, at most
REACH = 10.0  # standard deviations beyond which a Gaussian counts as 0


class KnownDensity:
    """A dataset whose log p(x) is known.

    A subclass defines `event_shape`, `terms` (how many numbers `_log_density` holds in memory for
    one point), `_log_density` and `_find_entropy`.
    """

    event_shape: tuple[int, ...] = (2,)
    terms: int = 8

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (m, *event) -> (m,), with its constant; computed in float64.

        Raises ValueError when x holds other events.
        """
        if x.ndim == 0 or tuple(x.shape[1:]) != self.event_shape:
            wanted = ", ".join(map(str, ("m", *self.event_shape)))
            raise ValueError(f"log_prob takes points ({wanted}); got {tuple(x.shape)}")
        chunks = torch.split(x.double(), max(1, CHUNK // self.terms))
        return torch.cat([self._log_density(chunk) for chunk in chunks]).to(x.dtype)

    @property
    def entropy(self) -> float:
        """-∫ p log p dx, in nats; computed on first use."""
        return self._entropy.value

    @property
    def entropy_error(self) -> float:
        """Error of `entropy`, in nats: 0 if in closed form, else of quadrature or standard."""
        return self._entropy.error

    @cached_property
    def _entropy(self) -> Entropy:
        return self._find_entropy()

    def _log_density(self, x: Tensor) -> Tensor:
        """Return log p, (m, *event) float64 -> (m,)."""
        raise NotImplementedError

    def _find_entropy(self) -> Entropy:
        raise NotImplementedError


class Noisy(KnownDensity):
    """Points of a shape, plus Gaussian noise of one width on each of their coordinates.

    A subclass defines `_clean`, `_log_density` and, in one or two dimensions, `_box`.
    """

    n: int
    std: float
    generator: Generator | None

    def __call__(self) -> Tensor:
        """Draw the points, (n, *event)."""
        dtype = torch.get_default_dtype()
        clean = self._clean(self.n, self.generator, dtype)
        return clean + self.std * normal(tuple(clean.shape), self.generator, dtype)

    def _clean(self, n: int, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        """Draw n points of the shape itself, (n, *event)."""
        raise NotImplementedError

    def _box(self) -> Tensor | None:
        """Return the lowest and highest corner of the shape, (2, d); None for no quadrature."""
        return None

    def _find_entropy(self) -> Entropy:
        box = self._box()
        if box is not None:
            reach = REACH * self.std
            entropy = by_grid(
                self.log_prob, torch.stack([box[0] - reach, box[1] + reach]), self.std / 2
            )
            if entropy is not None:
                return entropy
        own = torch.Generator().manual_seed(0)
        clean = self._clean(DRAWS, own, torch.float64)
        noise = normal(tuple(clean.shape), own, torch.float64)
        log_scale = clean[0].numel() / 2 * math.log(2 * math.pi * self.std**2)
        return by_draws(
            self.log_prob(clean + self.std * noise),
            -noise.flatten(1).square().sum(1) / 2 - log_scale,
            log_scale + clean[0].numel() / 2,
        )


def refuse_unless_positive(**values: float) -> None:
    """Raise a ValueError that names the values unless all of them are positive and finite."""
    if not all(0 < value < math.inf for value in values.values()):
        names = " and ".join([", ".join([*values][:-1]), [*values][-1]] if values else [])
        given = ", ".join(f"{name}={value}" for name, value in values.items())
        raise ValueError(f"{names} should be positive; got {given}")
