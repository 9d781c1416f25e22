"""Stein variational gradient descent: particles that climb log p together and repel each other.

    x_i ← x_i + η φ(x_i),    φ(x) = (1/n) Σ_j [k(x_j, x) s(x_j) + ∇_{x_j} k(x_j, x)]

with s = -∇E/T, k(x, x') = exp(-‖x - x'‖²/h) and h the median of the squared distances over
log(n + 1). Deterministic: φ is the direction in the kernel's unit ball that lowers the
Kullback-Leibler divergence of the particles' law from exp(-E/T) the fastest, at their positions.
Source: Liu and Wang 2016, "Stein variational gradient descent: a general purpose Bayesian inference
algorithm", equation 8 and algorithm 1.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import Energy, Kernel, PositiveFloat, energy_and_score


class SVGDState(NamedTuple):
    """The state of the particles."""

    x: Tensor  # (chains, *event)


class SVGDInfo(NamedTuple):
    """Diagnostics of one step, which monitors may log."""

    energy: Tensor  # (chains,), nats, where the step began
    score_norm: Tensor  # (chains,), nats per unit of x, where the step began
    moved: Tensor  # (chains,), ‖ηφ‖, in units of x; 0 at a stationary set of particles


class SVGD(Kernel):
    """Stein variational gradient descent: x_i ← x_i + η φ(x_i), all particles of a batch at once.

    The chains of a batch aren't independent: each is drawn by the scores of the others and repelled
    by their positions, so that together they spread over exp(-E/T). A sample is the whole batch,
    and statistics that assume independent chains (R-hat, effective sample sizes, two-sample tests)
    don't hold for it; of persistent chains each training step moves the subset that it takes. There
    is no noise: the randomness is that of where the particles begin. A single particle
    descends to a mode. In many dimensions the particles' variance is too small, the more so the
    fewer they are.

    The kernel is a Gaussian in x, of the median bandwidth of each batch; n² distances a step, and
    one gradient. The info is of each particle: `energy`, `score_norm`, and `moved`, the length of
    its step. A particle whose score isn't finite stays where it is and moves no other.

    Args:
        step_size: η. φ is a mean over all particles, most of them far away, so η is larger than a
            Langevin step. There is no `auto`, which measures chains that move alone.
        temperature: T; 1 samples exp(-E).

    Source: Liu and Wang 2016.
    """

    implied_temperature = None
    unknown_law = "its particles interact, and how near they come depends on their number"
    check_params: ClassVar[dict[str, object]] = {"step_size": 0.1}
    expected_failures: ClassVar = {
        "chains_independent": "its particles interact: each moves by the scores of all",
        "infinite_energy": "its particles interact: without one the others go elsewhere",
    }

    def __init__(self, step_size: PositiveFloat = 0.1, *, temperature: PositiveFloat = 1.0) -> None:
        self.step_size = step_size
        self.temperature = temperature

    def stationary_variance(self, scale: float) -> float | None:
        """Return None: it depends on the number of particles."""
        return None

    def init(self, energy: Energy, x: Tensor) -> SVGDState:
        """Begin at x."""
        return SVGDState(x)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw nothing: a step is deterministic."""
        return ()

    def step(
        self, energy: Energy, state: SVGDState, noise: tuple[Tensor, ...]
    ) -> tuple[SVGDState, SVGDInfo]:
        """Move all particles by one step."""
        values, score = energy_and_score(energy, state.x)
        flat = score.flatten(1)
        step = self.step_size * stein_direction(state.x.flatten(1), flat / self.temperature)
        norms = (torch.linalg.vector_norm(each, dim=1) for each in (flat, step))
        x = state.x + step.reshape(state.x.shape)
        return SVGDState(x), SVGDInfo(values, *norms)


def stein_direction(x: Tensor, score: Tensor) -> Tensor:
    """Return φ at each particle, (n, d) and their scores (n, d) -> (n, d).

    Particles whose score isn't finite count for nothing, and φ is 0 at them.
    """
    n = len(x)
    finite = score.isfinite().all(1)
    squared = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").square()
    bandwidth = squared.flatten().median() / math.log(n + 1)
    bandwidth = torch.where(bandwidth > 0, bandwidth, 1.0)
    kernel = (-squared / bandwidth).exp() * finite  # column j: the part of particle j
    drive = kernel @ torch.where(finite[:, None], score, 0.0)
    repulsion = 2 / bandwidth * (x * kernel.sum(1, keepdim=True) - kernel @ x)
    return torch.where(finite[:, None], (drive + repulsion) / n, 0.0)
