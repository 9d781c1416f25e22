"""The two signals of Nijkamp et al.: the energy difference d_s and the gradient length r_s.

    d_s = mean E(data) - mean E(samples)         r_s = mean length of a step's gradient part

In a step x' = x - η ∇E(x) + √(2ηT) ξ the gradient part is η ‖∇E(x)‖ and the noise about √(2ηT d)
long, in units of x. In stationary chains of exp(-E/T) the two balance. A much longer gradient part
is a descent, a much shorter one a random walk.

Source: Nijkamp, Hill, Han, Zhu and Wu 2020, "On the anatomy of MCMC-based maximum likelihood
learning of energy-based models", section 3, as in the authors' own code, whose step subtracts the
gradient itself, so that its norm, averaged over the path, is r_s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import Energy, init_state


class StepLengths(NamedTuple):
    """Mean lengths, over chains, of the two parts of a sampler's step, in units of x."""

    gradient: float
    noise: float


def step_lengths(
    kernel: Any, energy: Energy, x: Tensor, generator: Generator
) -> StepLengths | None:
    """Take one step from x, (chains, *event), without its noise and one with it; compare.

    The gradient part is the noiseless step, the noise part the difference of the noisy step from
    it. None for samplers without single steps, and for those that accept or reject their steps
    (watch their acceptance) or carry a momentum or the like from step to step.
    """
    if hasattr(kernel, "sample") or not all(hasattr(kernel, n) for n in ("init", "noise", "step")):
        return None
    if getattr(kernel, "carries", ()):
        return None
    state = init_state(kernel, energy, x, generator=generator)
    noise = kernel.noise(x, generator)
    still, info = kernel.step(energy, state, tuple(torch.zeros_like(part) for part in noise))
    if hasattr(info, "acceptance"):
        return None
    moved, _ = kernel.step(energy, state, noise)
    return StepLengths(_mean_length(still.x - x), _mean_length(moved.x - still.x))


def _mean_length(difference: Tensor) -> float:
    return float(difference.flatten(1).double().norm(dim=1).mean())
