"""MALA's warm-up: it reaches its target, undoes the scales, and is carried from run to run."""

import math

import pytest
import torch
from ebmcore_langevin import MALA, WarmMALAState

from ebmcore import Adapted, Sampler, Start, sample_chain

SCALES = torch.tensor([0.05, 0.2, 1.0, 3.0], dtype=torch.float64)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(x):
    return 0.5 * (x / SCALES).square().sum(1)


def start(chains=16):
    return torch.randn(chains, 4, generator=seeded(1), dtype=torch.float64)


def test_the_warm_up_reaches_its_target_and_undoes_scales():
    kernel = MALA(1e-3, warm_up=300)
    _, trace = sample_chain(
        kernel, gaussian, start(), burn_in=300, n_steps=300, generator=seeded(2), trace=True
    )
    assert abs(trace.info.acceptance.mean().item() - 0.57) < 0.03
    # 4,800 draws, of which one in ten counts: a standard error of a variance is 6.5 %
    z = (trace.x / SCALES).flatten(0, 1)
    assert (z.mean(0).abs() < 4 / math.sqrt(480)).all()
    assert ((z.var(0) - 1).abs() < 4 * math.sqrt(2 / 480)).all()


def test_short_runs_that_carry_it_are_one_long_run():
    kernel = MALA(1e-3, warm_up=40)
    wanted = Sampler(kernel, 50)(gaussian, start(), seeded(2))
    begin, parts = Start(start()), seeded(2)
    for n_steps in (7, 13, 30):
        found = Sampler(kernel, n_steps)(gaussian, begin, parts)
        begin = Start(found.x, carried=found.carried)
    assert torch.equal(found.x, wanted.x)
    for name, value in wanted.carried.items():
        assert torch.equal(found.carried[name], value)
    assert WarmMALAState._fields[3:] == Adapted._fields


def test_a_step_after_the_warm_up_is_one_in_other_units():
    """With v and η it is the step of √(2η) in x/√v: the same noise, the same acceptance."""
    warm, plain = MALA(0.3, warm_up=1), MALA(0.3)
    x = start() * SCALES
    state = warm.init(gaussian, x)._replace(scale=SCALES.expand(16, 4))
    noise = warm.noise(x, seeded(3))
    found, info = warm.step(gaussian, state, noise)
    ball = lambda z: 0.5 * z.square().sum(1)  # noqa: E731
    wanted, other = plain.step(ball, plain.init(ball, x / SCALES), noise)
    torch.testing.assert_close(found.x / SCALES, wanted.x)
    torch.testing.assert_close(info.acceptance, other.acceptance)
    torch.testing.assert_close(info.step_ratio, other.step_ratio)
    assert 0 < info.accepted.mean() < 1


def test_auto_and_a_warm_up_are_refused():
    with pytest.raises(ValueError, match="both adapt the step"):
        MALA("auto", warm_up=10)
