"""Noise-contrastive estimation: classify data against noise of a known law; log Z is trained."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from ebmcore import (
    Binary,
    Categorical,
    Energy,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Real,
    Space,
    conditioned,
)
from ebmcore_losses.discrepancy import copies
from ebmcore_losses.numerics.gaussian_noise import GaussianNoise
from ebmcore_losses.numerics.independent_noise import IndependentNoise


class NoiseContrastive(nn.Module):
    """-mean log σ(G(x) - log ν) - ν mean log σ(log ν - G(x′)), x′ ~ p_n, ν noise points an event.

    G = log p_m - log p_n is the log ratio of the model's density, log p_m = -E - log Z, to the
    noise's, and σ the logistic function: the posterior that a point is data. log Z is a parameter
    of the loss and joins the optimiser; with enough noise, E and log Z go to those of the data,
    so that exp(-E - log Z) is a density. The value is log(1 + ν) + ν log(1 + 1/ν) when noise
    and data are indistinguishable, and near 0 when they are separable: a low value shows noise far
    from the data, not a good fit. The noise of real events is Gaussian; the numbers of bits and of
    categories are independent in theirs, each as often of a value as in the training data.

    *Not* invariant to E + c: log Z absorbs c.

    Args:
        ratio: ν, how many noise points are drawn for each event of the batch.
        covariance: Covariance of Gaussian noise that is fitted to the training data: full, or
            diagonal.
        ridge: Share of the mean variance to add to the covariance's diagonal, so that elements
            that never vary have a density; for fitted noise only. Of bits and categories, the
            probability with which a number of the noise takes any value, whatever the data.
        mean: Mean of Gaussian noise, a number or one for each element of a flattened event; null
            fits it to the training data.
        std: Standard deviation of that noise, of independent elements, likewise; null fits it.
        log_z: Initial log Z; null takes the noise's entropy, which suits an energy near 0.
        training_data: (runtime) The data to fit the noise to, (n, *event).
        event_shape: (runtime) Shape of one event; needed only with `mean` and `std`.
        space: (runtime) The set that events live in; by default real.

    Shapes: x (batch, *event) -> () in nats, and the number to log, `log_z`, (). Raises ValueError
    when only one of `mean` and `std` is given, or neither they nor training data, when the data lie
    in a subspace, or lack a value of bits or categories, and `ridge` is 0, and when bits or
    categories are given `mean` or `std`.
    Source: Gutmann and Hyvärinen 2012, "Noise-contrastive estimation of unnormalized statistical
    models, with applications to natural image statistics".
    """

    spaces: ClassVar = (Real, Binary, Categorical)
    shift_invariant = False  # a fact for ebmcore.testing

    def __init__(
        self,
        training_data: Tensor | None = None,
        event_shape: tuple[int, ...] | None = None,
        *,
        ratio: PositiveInt = 1,
        covariance: Literal["full", "diagonal"] = "full",
        ridge: NonNegativeFloat = 1e-3,
        mean: float | list[float] | None = None,
        std: PositiveFloat | list[PositiveFloat] | None = None,
        log_z: float | None = None,
        space: Space | None = None,
    ) -> None:
        super().__init__()
        self.ratio = ratio
        self.noise: GaussianNoise | IndependentNoise
        if isinstance(space, Binary | Categorical):
            if training_data is None or mean is not None or std is not None:
                raise ValueError(
                    f"noise of {space} events is fitted to training data, and has no mean and std"
                )
            k = space.k if isinstance(space, Categorical) else 2
            self.noise = IndependentNoise.fitted(training_data, k, uniform=ridge)
        elif mean is not None and std is not None:
            if event_shape is None and training_data is None:
                raise ValueError("mean and std need event_shape, the shape of one event")
            shape = training_data.shape[1:] if event_shape is None else event_shape  # type: ignore[union-attr] # one of them is there
            self.noise = GaussianNoise.given(mean, std, shape)
        elif mean is not None or std is not None:
            there, missing = ("mean", "std") if std is None else ("std", "mean")
            raise ValueError(f"{there} is given without {missing}; give both, or neither")
        elif training_data is None:
            raise ValueError("no training data to fit the noise to; give mean and std")
        else:
            diagonal = covariance == "diagonal"
            self.noise = GaussianNoise.fitted(training_data, diagonal=diagonal, ridge=ridge)
        begin = self.noise.entropy()
        self.log_z = nn.Parameter(begin if log_z is None else torch.full_like(begin, log_z))

    def forward(
        self, energy: Energy, x: Tensor, generator: Generator | None, y: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and log Z to be logged."""
        noise = self.noise.draw(self.ratio * len(x), generator)
        prior = math.log(self.ratio)
        of_data = self.log_ratio(conditioned(energy, y=y), x) - prior
        at_noise = conditioned(energy, y=copies(y, self.ratio))
        of_noise = self.log_ratio(at_noise, noise.view(-1, *x.shape[1:])) - prior
        value = softplus(-of_data).mean() + self.ratio * softplus(of_noise).mean()
        return value, {"log_z": self.log_z.detach()}

    def log_ratio(self, energy: Energy, x: Tensor) -> Tensor:
        """Return G(x) = -E(x) - log Z - log p_n(x), in nats, (n, *event) -> (n,)."""
        return -energy(x) - self.log_z - self.noise.log_prob(x.flatten(1))
