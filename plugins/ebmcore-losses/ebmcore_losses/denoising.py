"""Denoising score matching: the score at noised data should point back to the data."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Energy, PositiveFloat, Real


class DenoisingScoreMatching:
    """Mean σ²·½‖∇E(x̃) - ε/σ‖² at x̃ = x + σε, ε ~ N(0, I).

    It pulls the score -∇E(x̃) to -ε/σ, which points back at x, and so ∇E to +ε/σ. Minimal at the
    energy of the data convolved with N(0, σ²I), and never 0: only differences are meaningful.

    Args:
        sigma: σ, in units of x; a list takes one for each event at random, all equally likely.

    Shapes: x (batch, *event) -> (), dimensionless. Needs an energy that is twice differentiable in
    x and in its parameters. Raises ValueError when the list is empty.
    Source: Vincent 2011, "A connection between score matching and denoising autoencoders", the
    objective J_DSM; the factor σ² is the λ(σ) of Song and Ermon 2019, "Generative modeling by
    estimating gradients of the data distribution".
    """

    spaces: ClassVar = (Real,)
    order = 2  # it differentiates the score

    def __init__(self, sigma: PositiveFloat | list[PositiveFloat] = 0.1) -> None:
        self.sigmas = tuple(sigma) if isinstance(sigma, list) else (sigma,)
        if not self.sigmas:
            raise ValueError("sigma should be a number or a list of numbers; got an empty list")

    def __call__(self, energy: Energy, x: Tensor, generator: Generator | None) -> Tensor:
        """Return the loss of a batch."""
        sigma = self._levels(x, generator)
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return denoising(energy, x, noise, sigma)

    def fitted_scale(self, scale: float) -> float | None:
        """Return the scale of the Gaussian that it fits to N(0, scale²): √(scale² + σ²).

        None with several σ, where no Gaussian fits. `ebmcore.testing` compares the loss with it.
        """
        return math.hypot(scale, self.sigmas[0]) if len(self.sigmas) == 1 else None

    def _levels(self, x: Tensor, generator: Generator | None) -> Tensor | float:
        """Return σ for each event, shaped to multiply x."""
        if len(self.sigmas) == 1:
            return self.sigmas[0]
        levels = torch.tensor(self.sigmas, device=x.device, dtype=x.dtype)
        chosen = torch.randint(len(self.sigmas), (len(x),), generator=generator, device=x.device)
        return levels[chosen].view(-1, *[1] * (x.ndim - 1))


def denoising(energy: Energy, x: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
    """Return the loss for given noise, ε of x's shape; σ is a number or multiplies x."""
    noised = (x + sigma * noise).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(noised).sum(), noised, create_graph=True)
    return 0.5 * (sigma * gradient - noise).square().flatten(1).sum(1).mean()
