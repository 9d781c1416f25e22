"""The work that every side does: the same network, weights, data and chains; NumPy alone.

A training step is persistent contrastive divergence: `k` Langevin steps (of an RBM, block Gibbs)
from a random batch of the kept chains, the loss mean E(x) - mean E(x_neg), one step of Adam.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
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
    network: str = "mlp"  # a key of SHAPES
    hidden: tuple[int, ...] = (128, 128)  # of each layer: its width, or channels of a convolution
    event_shape: tuple[int, ...] = (2,)
    points: int = 10_000  # to train on
    k: int = 10  # Langevin steps in a training step
    chains: int = 1000
    step_size: float = 0.01
    lr: float = 3e-4
    leaky: bool = False  # LeakyReLU(0.2) in place of SiLU
    block: int = 300  # training steps that are timed at once


TRANSFORMER_HEADS = 4
WORKS = {
    work.name: work
    for work in (
        Work("main"),
        Work("batch 512", batch=512, block=120),
        Work("batch 4096", batch=4096, chains=8192, block=20),
        Work("hidden 64", hidden=(64, 64)),
        Work("hidden 512", hidden=(512, 512), block=60),
        Work(
            "MLP 64-512-512-512-1",
            hidden=(512, 512, 512),
            event_shape=(64,),
            points=5000,
            step_size=1e-3,
            block=60,
        ),
        Work(
            "conv 28x28, k 20",
            network="conv",
            batch=64,
            hidden=(16, 32, 64),
            event_shape=(28, 28),
            points=1000,
            k=20,
            step_size=1e-4,
            lr=1e-4,
            block=4,
        ),
        Work(
            "LSTM 2x128, T 50",
            network="lstm",
            batch=32,
            event_shape=(50,),
            points=1000,
            step_size=1e-4,
            lr=1e-4,
            block=4,
        ),
        Work(
            "transformer 2x64, T 50",
            network="transformer",
            batch=64,
            hidden=(64, 64),
            event_shape=(50,),
            points=1000,
            step_size=1e-4,
            lr=1e-4,
            block=4,
        ),
        Work(
            "RBM 784-128",
            network="rbm",
            hidden=(128,),
            event_shape=(28, 28),
            points=5000,
            lr=1e-3,
            block=120,
        ),
    )
}


class Shape(NamedTuple):
    """A parameter: its shape, and the bound of the uniform law that it begins with."""

    shape: tuple[int, ...]
    bound: float


def _layer(outputs: int, inputs: int, *kernel: int) -> list[Shape]:
    """Return weight and bias of a linear or convolutional layer, as torch draws them."""
    bound = 1 / math.sqrt(math.prod((inputs, *kernel)))
    return [Shape((outputs, inputs, *kernel), bound), Shape((outputs,), bound)]


def _mlp(work: Work) -> list[Shape]:
    widths = (math.prod(work.event_shape), *work.hidden, 1)
    return [shape for i, o in pairwise(widths) for shape in _layer(o, i)]


def _conv(work: Work) -> list[Shape]:
    """The first convolution is 3x3, the others 4x4 with stride 2; then a linear layer."""
    side, inputs, found = work.event_shape[-1], 1, []
    for i, outputs in enumerate(work.hidden):
        found += _layer(outputs, inputs, *((4, 4) if i else (3, 3)))
        side, inputs = (side // 2 if i else side), outputs
    return found + _layer(1, inputs * side * side)


def _lstm(work: Work) -> list[Shape]:
    """Layers that read forwards, then a layer as wide on the last state, SiLU, and one number."""
    inputs, found = 1, []
    for width in work.hidden:
        bound = 1 / math.sqrt(width)
        shapes = ((4 * width, inputs), (4 * width, width), (4 * width,), (4 * width,))
        found += [Shape(shape, bound) for shape in shapes]
        inputs = width
    return found + _layer(inputs, inputs) + _layer(1, inputs)


def _transformer(work: Work) -> list[Shape]:
    """An embedding; pre-norm layers of attention and an MLP of 4 widths; a norm, one number."""
    (width, *_) = work.hidden
    norm = [Shape((width,), math.inf), Shape((width,), 0.0)]
    found = _layer(width, 1)
    for _ in work.hidden:
        found += norm + _layer(3 * width, width) + _layer(width, width)
        found += norm + _layer(4 * width, width) + _layer(width, 4 * width)
    return found + norm + _layer(1, width)


def _rbm(work: Work) -> list[Shape]:
    visible, (hidden,) = math.prod(work.event_shape), work.hidden
    bound = 1 / math.sqrt(visible)
    return [Shape((hidden, visible), bound), Shape((visible,), 0.0), Shape((hidden,), 0.0)]


SHAPES = {"mlp": _mlp, "conv": _conv, "lstm": _lstm, "transformer": _transformer, "rbm": _rbm}


def weights(work: Work, seed: int) -> list[Array]:
    """Return the parameters, layer by layer: U(±bound), and 1 where the bound is infinite."""
    rng = np.random.default_rng(seed)
    return [
        np.ones(shape, np.float32)
        if bound == math.inf
        else rng.uniform(-bound, bound, shape).astype(np.float32)
        for shape, bound in SHAPES[work.network](work)
    ]


def positions(work: Work) -> Array:
    """Return the transformer's sines and cosines, (T, width): of t / 10000^(2i / width)."""
    steps, (width, *_) = work.event_shape[0], work.hidden
    angles = np.arange(steps)[:, None] * 10000.0 ** (-np.arange(0, width, 2) / width)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=2)
    return waves.reshape(steps, width).astype(np.float32)


def data(work: Work, seed: int) -> Array:
    """Return the training points: five Gaussians in the plane, or noise in [0, 1], or its bits."""
    rng = np.random.default_rng([seed, 1])
    if work.event_shape != (2,):
        return _noise(work, rng, work.points)
    centers = CENTERS[rng.integers(len(CENTERS), size=work.points)]
    return (centers + STD * rng.standard_normal(centers.shape)).astype(np.float32)


def chains(work: Work, seed: int, n: int | None = None) -> Array:
    """Return where the kept chains begin, uniform about the data."""
    rng = np.random.default_rng([seed, 2])
    n = n or work.chains
    if work.event_shape == (2,):
        return rng.uniform(-3, 3, (n, 2)).astype(np.float32)
    return _noise(work, rng, n)


def _noise(work: Work, rng: np.random.Generator, n: int) -> Array:
    noise = rng.uniform(0, 1, (n, *work.event_shape)).astype(np.float32)
    return noise.round() if work.network == "rbm" else noise


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
