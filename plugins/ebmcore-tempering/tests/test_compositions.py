"""Samples of composed energies against quadrature in the plane: KL of their histograms.

20,000 points, or 10,000 weighted, in at most 300 bins that matter: of exact draws the KL is near
300 over twice the points.
"""

import pytest
import torch
from ebmcore_analytic import Gaussian, GaussianMixture, Mixture, Negated, Product, Ring
from ebmcore_langevin import MALA, Annealed
from ebmcore_tempering import ParallelTempering

from ebmcore import init_state, sample_chain

BINS, FINE, SIDE = 24, 10, 4.5


def compositions():
    five = GaussianMixture((2,), std=0.4)
    ring = Ring((2,), radius=2.83, width=0.5)
    there = Gaussian((2,), mean=[2.0, 2.0], scale=0.8)
    return {
        "product": Product([five, ring]),
        "mixture": Mixture([ring, Gaussian((2,), scale=0.4)], weights=[2.0, 1.0]),
        "negated": Negated(five, there, alpha=1.5, bound=5.0),
    }


def shares(energy):
    """Return the probability of each bin, by quadrature with FINE² points each."""
    step = 2 * SIDE / (BINS * FINE)
    axis = torch.arange(BINS * FINE, dtype=torch.float64) * step - SIDE + step / 2
    with torch.no_grad():
        p = (-energy(torch.cartesian_prod(axis, axis).float()).double()).softmax(0)
    return p.reshape(BINS, FINE, BINS, FINE).sum((1, 3))


def kl(x, expected, weights=None):
    """Return KL(histogram‖expected) in nats."""
    column = ((x.double() + SIDE) * BINS / (2 * SIDE)).long()
    inside = ((column >= 0) & (column < BINS)).all(1)
    assert float(inside.double().mean()) > 0.999
    flat = (column[:, 0] * BINS + column[:, 1])[inside]
    mass = None if weights is None else weights[inside].double()
    h = torch.bincount(flat, mass, minlength=BINS**2).double()
    h = h / h.sum()
    found = h > 0
    return float((h[found] * (h[found] / expected.flatten()[found]).log()).sum())


@pytest.mark.parametrize("name", ["product", "mixture", "negated"])
def test_tempered_samples(name):
    energy, generator = compositions()[name], torch.Generator().manual_seed(0)
    kernel = ParallelTempering(
        MALA(step_size=0.1), temperatures=[1.0, 3.0, 9.0], swap_every=2, warm_up=20
    )
    x = torch.randn(1000, 2, generator=generator)
    trace = sample_chain(
        kernel, energy, x, burn_in=60, n_steps=80, thin=4, generator=generator, trace=True
    )[1]
    assert kl(trace.x.flatten(0, 1), shares(energy)) < 0.02


def test_annealed_samples_with_their_weights():
    energy, generator = compositions()["negated"], torch.Generator().manual_seed(0)
    kernel = Annealed(MALA(step_size=0.1), temperatures=[30.0, 1.0])
    x = 4 * torch.randn(10_000, 2, generator=generator)
    state = init_state(kernel, energy, x, generator=generator, n_steps=60)
    for _ in range(60):
        state, info = kernel.step(energy, state, kernel.noise(state.x, generator))
    weights = (info.log_weight - info.log_weight.max()).exp()
    assert float(weights.sum().square() / weights.square().sum()) > 5000  # effective draws
    assert kl(state.x, shares(energy), weights) < 0.02
