"""A mixture of Gaussians as an energy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat
from ebmcore_analytic.analytic import Analytic, exactly, normal
from ebmcore_analytic.constants import log_of, positive

FIVE_CENTERS = ((0.0, 0.0), (2.0, 2.0), (2.0, -2.0), (-2.0, 2.0), (-2.0, -2.0))


class GaussianMixture(Analytic):
    """E(x) = -log Σₖ wₖ exp(-‖x - cₖ‖² / (2 std²)), Σₖ wₖ = 1, over the flattened event.

    log Z = d log(std √(2π)), d the number of coordinates. Samples are exact: k by its weight, then
    N(cₖ, std² I). By default the five centres (0, 0), (±2, ±2) in the plane, as in the dataset of
    the same name. `learnable` trains the centres, log std, and the logits of w.

    Shapes: x (batch, *event_shape), of as many numbers as a centre -> (batch,), nats. Raises
    ValueError when the centres don't fit the event, or the weights the centres.

    Args:
        centers: One point for each Gaussian, as flattened events.
        std: Standard deviation of every Gaussian in every direction, in units of x.
        weights: Relative weight of each Gaussian; equal when not given. They need not sum to 1.
        learnable: Whether the constants are trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "gaussian_mixture"
    centers: Tensor  # (k, features)
    log_std: Tensor  # ()
    logits: Tensor  # (k,)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        centers: Sequence[Sequence[float]] = FIVE_CENTERS,
        std: PositiveFloat = 0.3,
        weights: Sequence[PositiveFloat] | None = None,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        if len(centers) == 0:
            raise ValueError("centers should hold at least one point")
        for i, center in enumerate(centers):
            if len(center) != self.features:
                raise ValueError(
                    f"centers[{i}] should have {self.features} numbers, one for each coordinate of "
                    f"events of shape {self.event_shape}; got {len(center)}"
                )
        weights = [1.0] * len(centers) if weights is None else weights
        if len(weights) != len(centers):
            raise ValueError(
                f"weights should have one number for each of {len(centers)} centers; "
                f"got {len(weights)}"
            )
        logs = [math.log(positive("weights", weight)) for weight in weights]
        self.hold(
            learnable,
            centers=torch.tensor([[float(number) for number in center] for center in centers]),
            log_std=log_of("std", std),
            logits=torch.tensor(logs),
        )

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        squared = (x[:, None] - self.centers).square().sum(2)  # (batch, k)
        exponents = self.logits.log_softmax(0) - squared * (0.5 * (-2 * self.log_std).exp())
        return -exponents.logsumexp(1)

    @property
    def log_z(self) -> float:
        """D log(std √(2π)), in nats."""
        return self.features * (float(exactly(self.log_std)) + math.log(2 * math.pi) / 2)

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, features)."""
        shares = self.logits.softmax(0)
        which = torch.multinomial(shares, n, replacement=True, generator=generator)
        noise = normal(n, self.features, self.centers, generator)
        return self.centers[which] + self.log_std.exp() * noise
