"""The work that every side does: the same network, weights, data and chains; NumPy alone.

A training step is persistent contrastive divergence: `k` Langevin steps from a random batch of the
kept chains, the loss mean E(x) - mean E(x_neg), one step of Adam.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
CENTERS = np.array([[0, 0], [2, 2], [2, -2], [-2, 2], [-2, -2]], dtype=np.float64)
STD = 0.3
BOX, POINTS = 6.0, 301  # the grid of the KL: a square of half-width 6, 301 x 301 points


class Work(NamedTuple):
    """One size of the work."""

    name: str
    batch: int = 128
    hidden: tuple[int, ...] = (128, 128)  # of the MLP; empty when the energy is convolutional
    channels: tuple[int, ...] = ()  # of the convolutions, the first 3x3, the others 4x4, stride 2
    event_shape: tuple[int, ...] = (2,)
    points: int = 10_000  # to train on
    k: int = 10  # Langevin steps in a training step
    chains: int = 1000
    step_size: float = 0.01
    lr: float = 3e-4
    leaky: bool = False  # LeakyReLU(0.2) in place of SiLU
    block: int = 300  # training steps that are timed at once


WORKS = {
    work.name: work
    for work in (
        Work("main"),
        Work("batch 512", batch=512, block=120),
        Work("batch 4096", batch=4096, chains=8192, block=20),
        Work("hidden 64", hidden=(64, 64)),
        Work("hidden 512", hidden=(512, 512), block=60),
        Work(
            "conv 28x28",
            batch=64,
            hidden=(),
            channels=(16, 32, 64),
            event_shape=(28, 28),
            points=1000,
            step_size=1e-4,
            lr=1e-4,
            block=5,
        ),
    )
}


def weights(work: Work, seed: int) -> list[Array]:
    """Return weight and bias of each layer in turn, as torch draws them: U(±1/√inputs)."""
    rng = np.random.default_rng(seed)
    shapes: list[tuple[int, ...]] = []
    if work.channels:
        side, inputs = work.event_shape[-1], 1
        for i, outputs in enumerate(work.channels):
            shapes.append((outputs, inputs, 4, 4) if i else (outputs, inputs, 3, 3))
            side, inputs = (side // 2 if i else side), outputs
        shapes.append((1, inputs * side * side))
    else:
        widths = (math.prod(work.event_shape), *work.hidden, 1)
        shapes += [(widths[i + 1], widths[i]) for i in range(len(widths) - 1)]
    found: list[Array] = []
    for shape in shapes:
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        found.append(rng.uniform(-bound, bound, shape).astype(np.float32))
        found.append(rng.uniform(-bound, bound, shape[:1]).astype(np.float32))
    return found


def data(work: Work, seed: int) -> Array:
    """Return the training points: five Gaussians in the plane, or images of noise in [0, 1]."""
    rng = np.random.default_rng([seed, 1])
    if work.event_shape != (2,):
        return rng.uniform(0, 1, (work.points, *work.event_shape)).astype(np.float32)
    centers = CENTERS[rng.integers(len(CENTERS), size=work.points)]
    return (centers + STD * rng.standard_normal(centers.shape)).astype(np.float32)


def chains(work: Work, seed: int, n: int | None = None) -> Array:
    """Return where the kept chains begin, uniform about the data."""
    rng = np.random.default_rng([seed, 2])
    low, high = (-3, 3) if work.event_shape == (2,) else (0, 1)
    return rng.uniform(low, high, (n or work.chains, *work.event_shape)).astype(np.float32)


def kl(energy: Callable[[Array], Array]) -> float:
    """Return KL(five Gaussians ‖ exp(-E)/Z) in nats, both integrated on one grid."""
    axis = np.linspace(-BOX, BOX, POINTS)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    squared = ((grid[:, None] - CENTERS) ** 2).sum(2) / (2 * STD**2)
    density = np.exp(-squared).sum(1)
    density /= density.sum()
    minus = -np.asarray(energy(grid.astype(np.float32)), dtype=np.float64)
    log_model = minus - minus.max() - np.log(np.exp(minus - minus.max()).sum())
    log_density = np.log(np.where(density > 0, density, 1.0))
    return float((density * (log_density - log_model)).sum())
