"""The classifier: what it tells, and that it depends on its data and its generator alone."""

import math

import pytest
import torch
from ebmcore_monitors.fidelity.judge import FEATURES, Judge


def made(x, y, seed=0):
    return Judge(x, y, classes=3, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def rows():
    generator = torch.Generator().manual_seed(4)
    y = torch.randint(3, (400,), generator=generator)
    return y, torch.randn((400, 3), generator=generator), generator


@pytest.mark.parametrize("shape", [(3,), (1, 7), (3, 6, 34)])
def test_events_of_any_shape_are_told_apart(shape, rows):
    y, _, generator = rows
    x = torch.randn((400, *shape), generator=generator)
    x = 50 + 7 * (x + 4 * (y - 1).reshape(-1, *(1,) * len(shape)))
    before = torch.get_rng_state()
    judge = made(x[:300], y[:300])
    assert torch.equal(before, torch.get_rng_state())
    found = judge(x)
    assert found.features.shape == (400, FEATURES)
    assert found.p.shape == (400, 3)
    assert (found.p[300:].argmax(1) == y[300:]).double().mean() > 0.8
    inner = judge(x[:300]).features
    torch.testing.assert_close(inner.mean(0), torch.zeros(FEATURES).double(), atol=1e-5, rtol=0)
    assert inner.var(0).mean().item() == pytest.approx(1, abs=1e-5)
    with torch.no_grad():  # a monitor may be called so
        again = made(x[:300], y[:300])(x)
    assert torch.equal(again.p, found.p)


def test_another_generator_makes_another_one(rows):
    y, noise, _ = rows
    x = noise + 4 * y[:, None]
    assert not torch.equal(made(x, y)(x).p, made(x, y, seed=1)(x).p)


def test_points_that_are_all_equal(rows):
    y = rows[0]
    found = made(torch.zeros(400, 3), y)(torch.zeros(2, 3))
    assert found.features.isfinite().all()
    assert math.isclose(found.p.sum().item(), 2, rel_tol=1e-6)
