"""Denoising score matching: the score at noised data should point back to the data.

At one noise level, and at several that the energy knows, E(x, t).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ebmcore import Energy, PositiveFloat, Real, conditioned, given, loss, without_padding


class DenoisingScoreMatching:
    """Mean σ²·½‖∇E(x̃) - ε/σ‖² at x̃ = x + σε, ε ~ N(0, I).

    It pulls the score -∇E(x̃) to -ε/σ, which points back at x, and so ∇E to +ε/σ. Minimal at the
    energy of the data convolved with N(0, σ²I), and never 0: only differences are meaningful.

    Args:
        sigma: σ, in units of x. A list of several is refused: at a σ drawn for each event, an
            energy that doesn't know σ fits the mixture Σ σ² p_σ, p_σ the data's density under that
            noise: nearly that of the largest. `multilevel_denoising` takes several.

    With an energy that takes a mask, only the steps that count have noise and a share in the norm:
    the loss is the mean of those of the shorter sequences, a sum over the numbers of each.

    Shapes: x (batch, *event) -> (), dimensionless. Needs an energy that is twice differentiable in
    x and in its parameters. Raises ValueError for a list that isn't of one number.
    Source: Vincent 2011, "A connection between score matching and denoising autoencoders", the
    objective J_DSM; the factor σ² is the λ(σ) of Song and Ermon 2019, "Generative modeling by
    estimating gradients of the data distribution".
    """

    spaces: ClassVar = (Real,)
    order = 2  # it differentiates the score

    def __init__(self, sigma: PositiveFloat | list[PositiveFloat] = 0.1) -> None:
        self.sigma = _one_level(sigma)

    def __call__(
        self,
        energy: Energy,
        x: Tensor,
        generator: Generator | None,
        y: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch."""
        return denoising(
            conditioned(energy, y=y, mask=mask), x, noise_on(x, mask, generator), self.sigma
        )

    def fitted_scale(self, scale: float) -> float:
        """Return the scale of the Gaussian that it fits to N(0, scale²): √(scale² + σ²).

        `ebmcore.testing` compares the loss with it.
        """
        return math.hypot(scale, self.sigma)


def _one_level(sigma: float | list[float]) -> float:
    """Return σ. Raises ValueError for a list that isn't of one number."""
    if not isinstance(sigma, list):
        return sigma
    if len(sigma) != 1:
        raise ValueError(
            f"sigma should be one number; got the list {sigma}. At several levels an energy E(x) "
            "would fit the mixture of the noised densities with weights σ², nearly that of the "
            "largest; take the loss multilevel_denoising with the energy noise_conditional, "
            "E(x, t), whose smallest level is the data's"
        )
    return sigma[0]


def noise_on(x: Tensor, mask: Tensor | None, generator: Generator | None) -> Tensor:
    """Draw ε ~ N(0, I) of x's shape; it is 0 at the steps that don't count."""
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return without_padding(noise, mask)


def denoising(energy: Energy, x: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
    """Return the loss for given noise, ε of x's shape; σ is a number or multiplies x."""
    noised = (x + sigma * noise).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(noised).sum(), noised, create_graph=True)
    return 0.5 * (sigma * gradient - noise).square().flatten(1).sum(1).mean()


class _Levels(nn.Module):
    """E(x, t) = ½‖x - μ‖²/(s² + t²), for `ebmcore.testing`."""

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full(event_shape, 0.3))
        self.register_buffer("sigmas", torch.tensor([2.0, 0.5, 0.1]))

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,)."""
        variance = 1.0 if t is None else 1.0 + t.square()
        return 0.5 * (x - self.mean).square().flatten(1).sum(1) / variance


@loss(spaces=(Real,), order=2, check_energy=_Levels)  # it differentiates the score
def multilevel_denoising(
    energy: Any,
    x: Tensor,
    generator: Generator | None,
    y: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Mean σ²·½‖∇E(x̃, σ) - ε/σ‖² at x̃ = x + σε, σ one of the energy's levels, ε ~ N(0, I).

    Each event draws a level, all equally likely; the factor σ² gives each a like share of the
    loss. It pulls ∇E(·, σ) to +ε/σ, which points from x to x̃, so that E(·, σ) becomes the energy of
    the data convolved with N(0, σ²I): at the smallest level nearly that of the data. At a small
    level alone, separate modes would keep any relative weight; levels that reach from one to the
    other, and an energy that changes smoothly with σ, fix it.

    The levels are the energy's attribute `sigmas`, (levels,), which `noise_conditional` has. With
    an energy that takes a mask, only the steps that count have noise and a share in the norm.

    Shapes: x (batch, *event) -> (), dimensionless. Needs an energy E(x, t), t (batch,) in units of
    x, that is twice differentiable in x and in its parameters. Never 0: only differences are
    meaningful. Raises ValueError when the energy has no `sigmas`.
    Source: Song and Ermon 2019, "Generative modeling by estimating gradients of the data
    distribution", eq. 5 and 6 with λ(σ) = σ², of an energy's score.
    """
    sigmas = getattr(energy, "sigmas", None)
    if sigmas is None:
        raise ValueError(
            "multilevel_denoising needs an energy with noise levels, `sigmas`, such as "
            f"`noise_conditional`; {type(energy).__name__} has none"
        )
    chosen = torch.randint(len(sigmas), (len(x),), generator=generator, device=x.device)
    noise = noise_on(x, mask, generator)
    sigma = sigmas.to(x)[chosen]
    at_level = given(conditioned(energy, y=y, mask=mask), t=sigma)
    return denoising(at_level, x, noise, sigma.view(-1, *(1 for _ in x.shape[1:])))
