import math

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import torch
from ebmcore_datasets import Rings, Sines


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def closed_form(x, cycles, amplitude, std):
    """For whole waves |wave|² is a² T / 2 at every phase, and the mean over it is Bessel's."""
    length = x.shape[1]
    turn = np.exp(2j * math.pi * cycles / length * np.arange(length))
    kappa = amplitude * np.abs(x @ turn) / std**2
    squared = (x**2).sum(1) + amplitude**2 * length / 2
    scale = length / 2 * math.log(2 * math.pi * std**2)
    return np.log(scipy.special.i0e(kappa)) + kappa - squared / (2 * std**2) - scale


@pytest.mark.parametrize(
    ("length", "cycles", "amplitude", "std"),
    [(32, 2, 1.0, 0.1), (32, 5, 2.0, 0.05), (7, 1, 0.5, 1.0), (64, 1, 1.0, 0.02)],
)
def test_log_prob_of_whole_waves_is_the_closed_form(length, cycles, amplitude, std):
    keys = {"length": length, "cycles": [cycles], "amplitude": amplitude, "std": std}
    sines = Sines(n=50, generator=seeded(), **keys)
    near = sines().double()
    x = torch.cat(
        [near, torch.randn(50, length, 1, generator=seeded()).double(), 4 * near, 0 * near]
    )
    expected = closed_form(x[..., 0].numpy(), cycles, amplitude, std)
    np.testing.assert_allclose(sines.log_prob(x), expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("cycles", [[0.7], [1.0, 1.8], [0.25, 1.5, 2.2]])
def test_log_prob_is_the_mean_over_phase_and_cycles(cycles):
    length, amplitude, std = 5, 1.2, 0.5
    keys = {"length": length, "cycles": cycles, "amplitude": amplitude, "std": std}
    sines = Sines(n=4, generator=seeded(), **keys)
    x = sines().double()
    t = np.arange(length)

    def density(phase, row, c):
        wave = amplitude * np.sin(2 * math.pi * c * t / length + phase)
        squared = ((row - wave) ** 2).sum()
        return math.exp(-squared / (2 * std**2)) / (2 * math.pi * std**2) ** (length / 2)

    for row, found in zip(x[..., 0].numpy(), sines.log_prob(x).tolist(), strict=True):
        each = [
            scipy.integrate.quad(density, 0, 2 * math.pi, (row, c), epsrel=1e-10, limit=200)[0]
            for c in cycles
        ]
        expected = math.log(sum(each) / (2 * math.pi * len(cycles)))
        assert found == pytest.approx(expected, abs=1e-8)


def test_entropy_is_that_of_the_plane_and_of_the_noise():
    """Whole waves lie on a circle of radius a √(T/2) in a plane; beside it there is noise alone.

    The estimate is within 4.9 of its standard errors, but for one seed in a million.
    """
    length, amplitude, std = 20, 1.0, 0.3
    sines = Sines(length=length, cycles=[3], amplitude=amplitude, std=std)
    ring = Rings(radii=[amplitude * math.sqrt(length / 2)], std=std)
    expected = ring.entropy + (length - 2) / 2 * math.log(2 * math.pi * math.e * std**2)
    assert 1e-4 < sines.entropy_error < 0.005
    assert abs(sines.entropy - expected) < 4.9 * sines.entropy_error
    assert sines.entropy == Sines(length=length, cycles=[3], amplitude=amplitude, std=std).entropy


def test_the_entropy_is_the_mean_surprise_of_the_draws():
    """Five standard errors of both together."""
    sines = Sines(n=20_000, length=12, cycles=[1, 2.5], std=0.3, generator=seeded(2))
    surprise = -sines.log_prob(sines().double())
    error = math.hypot(surprise.std().item() / math.sqrt(len(surprise)), sines.entropy_error)
    assert abs(surprise.mean().item() - sines.entropy) < 5 * error


def test_the_density_integrates_to_one():
    """In two steps, where waves are an ellipse in the plane."""
    sines = Sines(length=2, cycles=[0.4], amplitude=1.0, std=0.3)
    axis = torch.linspace(-5, 5, 201, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)[..., None]
    assert sines.log_prob(x).exp().sum().item() * 0.05**2 == pytest.approx(1, abs=1e-9)


def test_the_draws():
    n, std = 20_000, 0.2
    sines = Sines(n=n, length=16, cycles=[2], amplitude=1.5, std=std, generator=seeded(5))
    x = sines()
    assert x.shape == (n, 16, 1)
    assert x.dtype == torch.float32
    x = x[..., 0].double()
    # mean 0, variance a²/2 + std² at each step, and covariance a²/2 cos between two
    error = 5 * 1.5**2 / math.sqrt(n)
    assert (x.mean(0).abs() < 5 * math.sqrt((1.5**2 / 2 + std**2) / n)).all()
    lag = torch.arange(16).double()
    expected = 1.5**2 / 2 * torch.cos(2 * math.pi * 2 * (lag[:, None] - lag) / 16)
    expected += std**2 * torch.eye(16)
    assert ((x.T @ x / n - expected).abs() < error).all()


def test_each_event_has_one_of_the_cycles():
    n = 5000
    sines = Sines(n=n, length=32, cycles=[2, 5], std=0.01, generator=seeded())
    power = torch.fft.rfft(sines()[..., 0]).abs()
    top = power.argmax(1)
    assert set(top.tolist()) == {2, 5}
    assert abs((top == 2).double().mean().item() - 0.5) < 5 * 0.5 / math.sqrt(n)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"cycles": []}, r"cycles should be positive and below half the length, 16; got \[\]"),
        ({"cycles": [2, 16]}, r"below half the length, 16; got \[2, 16\]"),
        ({"cycles": [0]}, r"should be positive and below"),
        ({"std": 0.0}, "should be positive; .*std=0.0"),
        ({"length": 0}, "should be positive; .*length=0"),
        ({"amplitude": -1.0}, "should be positive; .*amplitude=-1.0"),
    ],
)
def test_what_a_constructor_refuses(keys, message):
    with pytest.raises(ValueError, match=message):
        Sines(**keys)


@pytest.mark.parametrize("shape", [(3, 32), (3, 31, 1), (32, 1), (3, 32, 2)])
def test_log_prob_refuses_other_events(shape):
    with pytest.raises(ValueError, match=r"log_prob takes points \(m, 32, 1\); got \("):
        Sines().log_prob(torch.zeros(shape))
