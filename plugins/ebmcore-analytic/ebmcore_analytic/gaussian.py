"""A Gaussian as an energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat
from ebmcore_analytic.analytic import Analytic, exactly, normal
from ebmcore_analytic.constants import for_each, positive
from ebmcore_analytic.numerics.quadratic import Quadratic


class Gaussian(Analytic):
    """E(x) = ½ (x - μ)ᵀ P (x - μ), P = Σ⁻¹, over the flattened event; its minimum is 0.

    log Z = ½ log det(2πΣ). Samples are exact: x = μ + R⁻ᵀξ, P = RRᵀ, ξ ~ N(0, I). `learnable`
    trains μ and the log of each scale, or, of a full covariance, μ and R with the log of its
    diagonal: P stays positive definite. `precision` and `quadratic()` return the current P.

    Shapes: x (batch, *event_shape), any -> (batch,), nats. Raises ValueError when the numbers don't
    fit the event, scale and covariance are both given, or the covariance is not symmetric and
    positive definite.

    Args:
        mean: μ, one number for all coordinates or one for each of the flattened event.
        scale: Standard deviation, one number or one for each coordinate; 1 when neither scale nor
            covariance is given.
        covariance: Σ, as rows over the flattened event, instead of scale.
        learnable: Whether the constants are trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "gaussian"
    check_params: ClassVar[tuple[dict[str, object], ...]] = (
        {},
        {"covariance": [[2.0, 0.6], [0.6, 0.5]], "mean": [1.0, -1.0], "learnable": True},
    )
    mean: Tensor  # (features,)
    log_scale: Tensor  # (features,), without a covariance
    log_diagonal: Tensor  # (features,), of R; with a covariance
    below: Tensor  # (features, features), R below its diagonal; with a covariance

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        mean: float | Sequence[float] = 0.0,
        scale: PositiveFloat | Sequence[PositiveFloat] | None = None,
        covariance: Sequence[Sequence[float]] | None = None,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        self.full = covariance is not None
        self.hold(learnable, mean=torch.tensor(for_each("mean", mean, self.features)))
        if covariance is None:
            scales = for_each("scale", 1.0 if scale is None else scale, self.features)
            logs = [math.log(positive("scale", value)) for value in scales]
            self.hold(learnable, log_scale=torch.tensor(logs))
            return
        if scale is not None:
            raise ValueError("give scale or covariance, not both")
        root = _precision_root(covariance, self.features)
        self.hold(
            learnable,
            log_diagonal=torch.tensor(root.diagonal().log().tolist()),
            below=torch.tensor(root.tril(-1).tolist()),
        )

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        away = x - self.mean
        white = away @ self._root() if self.full else away * (-self.log_scale).exp()
        return 0.5 * white.square().sum(1)

    @property
    def precision(self) -> Tensor:
        """P = Σ⁻¹ over the flattened event, (features, features)."""
        if self.full:
            root = self._root()
            product: Tensor = root @ root.T
            return product
        return (-2 * self.log_scale).exp().diag()

    @property
    def log_z(self) -> float:
        """½ log det(2πΣ), in nats."""
        log_scales = -exactly(self.log_diagonal) if self.full else exactly(self.log_scale)
        return self.features / 2 * math.log(2 * math.pi) + float(log_scales.sum())

    def quadratic(self) -> Quadratic:
        """Return E as ½ xᵀPx - bᵀx + c, for `sum` and `tempered` to build on."""
        precision, mean = exactly(self.precision), exactly(self.mean)
        linear = precision @ mean
        return Quadratic(precision, linear, float(mean @ linear) / 2, self.event_shape)

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, features)."""
        noise = normal(n, self.features, self.mean, generator)
        if not self.full:
            return self.mean + self.log_scale.exp() * noise
        away: Tensor = torch.linalg.solve_triangular(self._root(), noise, upper=False, left=False)
        return self.mean + away

    def _root(self) -> Tensor:
        return self.below.tril(-1) + self.log_diagonal.exp().diag()


def _precision_root(covariance: Sequence[Sequence[float]], features: int) -> Tensor:
    """Return the lower triangular R of Σ⁻¹ = RRᵀ, on the CPU in float64."""
    sizes = {len(covariance), *(len(row) for row in covariance)}
    if sizes != {features}:
        raise ValueError(
            f"covariance should be {features} rows of {features} numbers, one for each coordinate "
            f"of the flattened event; got {len(covariance)} of {sorted(map(len, covariance))}"
        )
    rows = [[float(number) for number in row] for row in covariance]
    matrix = torch.tensor(rows, dtype=torch.float64, device="cpu")
    root, fault = torch.linalg.cholesky_ex(matrix)
    if int(fault) or not torch.allclose(matrix, matrix.T, rtol=1e-9, atol=0.0):
        raise ValueError(f"covariance should be symmetric and positive definite; got {rows}")
    precision_root: Tensor = torch.linalg.cholesky(torch.cholesky_inverse(root))
    return precision_root
