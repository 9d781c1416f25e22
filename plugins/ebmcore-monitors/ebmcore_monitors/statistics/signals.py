"""The two signals of Nijkamp et al.: how far apart energies are, and what drives a step.

    d_s = mean E(data) - mean E(samples)         r_s = mean length of a step's gradient part

In a step x' = x - η ∇E(x) + √(2ηT) ξ the gradient part is η ‖∇E(x)‖ and the noise about √(2ηT d)
long, in units of x. Where chains are at rest in exp(-E/T), neither wins. A gradient part much the
longer is a descent, one much the shorter a random walk.

Source: Nijkamp, Hill, Han, Zhu and Wu 2020, "On the anatomy of MCMC-based maximum likelihood
learning of energy-based models", section 3, as in the authors' own code, whose step subtracts the
gradient itself, so that its norm, averaged over the path, is r_s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import Energy


class StepLengths(NamedTuple):
    """Mean lengths, over chains, of the two parts of a sampler's step, in units of x."""

    gradient: float
    noise: float


def step_lengths(
    kernel: Any, energy: Energy, x: Tensor, generator: Generator
) -> StepLengths | None:
    """Take one step from x, (chains, *event), without its noise and one with it; compare.

    The gradient part is where the noiseless step leads, the noise part how far from there the noisy
    one does. None for samplers of which that tells nothing: those that keep their steps to
    themselves, and those that accept or reject them (watch their acceptance).
    """
    if hasattr(kernel, "sample") or not all(hasattr(kernel, n) for n in ("init", "noise", "step")):
        return None
    state = kernel.init(energy, x)
    noise = kernel.noise(x, generator)
    still, info = kernel.step(energy, state, tuple(torch.zeros_like(part) for part in noise))
    if hasattr(info, "acceptance"):
        return None
    moved, _ = kernel.step(energy, state, noise)
    return StepLengths(_mean_length(still.x - x), _mean_length(moved.x - still.x))


def _mean_length(difference: Tensor) -> float:
    return float(difference.flatten(1).double().norm(dim=1).mean())
