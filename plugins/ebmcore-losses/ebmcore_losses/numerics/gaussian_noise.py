"""The Gaussian noise that noise-contrastive estimation compares the data with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn


class GaussianNoise(nn.Module):
    """N(mean, LLᵀ) over flattened events, with L lower triangular, or diagonal when it is a vector.

    Shapes: mean (elements,), in units of x; factor (elements, elements) or (elements,).
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, mean: Tensor, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("factor", factor)

    @classmethod
    def fitted(cls, data: Tensor, *, diagonal: bool, ridge: float) -> GaussianNoise:
        """Fit mean and covariance to data, (n, *event).

        The covariance is that of the n points, divided by n, plus `ridge` times the mean variance
        of an element on its diagonal, without which elements that never vary would have no
        density. Raises ValueError when the covariance is singular all the same.
        """
        flat = data.flatten(1).double()
        mean = flat.mean(0)
        centred = flat - mean
        variances = centred.square().mean(0)
        floor = ridge * variances.mean()
        if diagonal:
            return cls(mean.to(data.dtype), _positive((variances + floor).sqrt()).to(data.dtype))
        covariance = centred.mT @ centred / len(flat) + torch.diag_embed(floor.expand_as(mean))
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if not failed.is_meta and bool(failed):
            raise ValueError(_SINGULAR)
        return cls(mean.to(data.dtype), factor.to(data.dtype))

    @classmethod
    def given(
        cls, mean: float | Sequence[float], std: float | Sequence[float], event_shape: Sequence[int]
    ) -> GaussianNoise:
        """Take numbers, or one for each element of a flattened event.

        Raises ValueError when there are more or fewer of them.
        """
        elements = math.prod(event_shape)
        both = []
        for name, value in (("mean", mean), ("std", std)):
            tensor = torch.as_tensor(value, dtype=torch.get_default_dtype())
            if tensor.ndim and tensor.shape != (elements,):
                raise ValueError(
                    f"{name} should be a number or {elements}, one for each element of an event "
                    f"of shape {tuple(event_shape)}; got {len(tensor)}"
                )
            both.append(tensor.expand(elements).clone())
        return cls(*both)

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, elements)."""
        z = torch.randn(
            (n, len(self.mean)),
            generator=generator,
            device=self.mean.device,
            dtype=self.mean.dtype,
        )
        return self.mean + (z * self.factor if self.factor.ndim == 1 else z @ self.factor.mT)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (n, elements) -> (n,). Raises ValueError for other events."""
        if x.shape[1:] != self.mean.shape:
            raise ValueError(
                f"the noise was built for events of {len(self.mean)} elements; got {x.shape[1]}"
            )
        centred = x - self.mean
        if self.factor.ndim == 1:
            z = centred / self.factor
        else:
            z = torch.linalg.solve_triangular(self.factor, centred.mT, upper=False).mT
        return -0.5 * z.square().sum(1) - self.log_normaliser()

    def log_normaliser(self) -> Tensor:
        """Return ½ log det 2πΣ, in nats, ()."""
        scales = self.factor if self.factor.ndim == 1 else self.factor.diagonal()
        return 0.5 * len(self.mean) * math.log(2 * math.pi) + scales.log().sum()

    def entropy(self) -> Tensor:
        """Return ½ log det 2πeΣ, in nats, ()."""
        return self.log_normaliser() + 0.5 * len(self.mean)


_SINGULAR = (
    "a Gaussian fitted to the training data has no density, since the points lie in a subspace; "
    "raise `ridge`, or give `mean` and `std`"
)


def _positive(scales: Tensor) -> Tensor:
    if not scales.is_meta and not bool((scales > 0).all()):
        raise ValueError(_SINGULAR)
    return scales
