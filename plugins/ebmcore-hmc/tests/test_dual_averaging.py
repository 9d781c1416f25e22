"""Dual averaging: its recursion by hand, its fixed point, and the warm-up of real chains."""

import math

import torch
from ebmcore_hmc import HMC, dual_average

from ebmcore import sample_chain


def test_three_steps_by_hand():
    """The recursion as it stands in the paper, in numbers of Python's own."""
    first, target, log_mean, shortfall = 0.3, 0.7, 0.0, 0.0
    found_mean = found_short = torch.zeros(1, dtype=torch.float64)
    for m, acceptance in enumerate([0.2, 0.9, 1.0], start=1):
        shortfall = (1 - 1 / (m + 10)) * shortfall + (target - acceptance) / (m + 10)
        log_step = math.log(10 * first) - math.sqrt(m) / 0.05 * shortfall
        log_mean = m**-0.75 * log_step + (1 - m**-0.75) * log_mean
        found = dual_average(
            torch.tensor([acceptance], dtype=torch.float64), torch.tensor([m]), found_mean,
            found_short, first_step_size=first, target=target,
        )  # fmt: skip
        _, found_mean, found_short = found
        wanted = torch.tensor([[log_step], [log_mean], [shortfall]], dtype=torch.float64)
        torch.testing.assert_close(torch.stack(found), wanted)


def test_it_finds_the_step_of_the_target_acceptance():
    """α = 1/(1 + (ε/c)²) is δ at ε = c √(1/δ - 1): 4 scales c, all from the same ε₀."""
    c = torch.tensor([0.01, 0.1, 1.0, 10.0], dtype=torch.float64)
    wanted = c * math.sqrt(1 / 0.8 - 1)
    log_step = torch.full_like(c, math.log(0.2))
    log_mean = shortfall = torch.zeros_like(c)
    for m in range(1, 2001):
        acceptance = 1 / (1 + (log_step.exp() / c).square())
        log_step, log_mean, shortfall = dual_average(
            acceptance, torch.full((4,), m), log_mean, shortfall, first_step_size=0.2, target=0.8
        )
    # what is left is the pull to μ: δ - α = γ (μ - log ε)/√m, at most 1 % of it here
    assert ((log_mean.exp() / wanted).log().abs() < 0.05).all()


def gaussian(x):
    return 0.5 * x.square().sum(1)


def warmed(warm_up, n_steps, *, chains=40, events=20, **keys):
    x = torch.randn(chains, events, generator=torch.Generator().manual_seed(1)).double()
    kernel = HMC(leapfrog=5, warm_up=warm_up, **keys)
    _, trace = sample_chain(
        kernel, gaussian, x, n_steps=n_steps, generator=torch.Generator().manual_seed(2), trace=True
    )
    return trace.info


def test_the_warm_up_reaches_its_target_and_stays_there():
    # 40 independent chains, 4 standard errors of the mean of their means: 1 in 8,000 at t_39
    info = warmed(800, 850, step_size=0.1)
    frozen = info.acceptance[800:].mean(0)
    stderr = (frozen.std() / math.sqrt(40)).item()
    assert stderr < 0.01
    assert abs(frozen.mean().item() - 0.8) < 4 * stderr
    steps = info.step_size
    assert (steps[:799].diff(dim=0) != 0).all()  # every chain moves on at each step, until
    assert torch.equal(steps[800:], steps[800].expand_as(steps[800:]))  # it is frozen, bit for bit
    assert len(steps[800].unique()) == 40  # each chain at its own


def test_what_is_frozen_is_the_average():
    kernel = HMC(0.3, leapfrog=2, warm_up=3)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    state, seen = kernel.init(gaussian, x), []
    for seed in range(6):
        noise = kernel.noise(x, torch.Generator().manual_seed(seed))
        state, info = kernel.step(gaussian, state, noise)
        seen.append((state, info))
    # the same by the recursion alone, from the acceptances of the first three steps
    log_mean = shortfall = torch.zeros(4, dtype=torch.float64)
    for m, (after, info) in enumerate(seen[:3], start=1):
        log_step, log_mean, shortfall = dual_average(
            info.acceptance, torch.full((4,), m), log_mean, shortfall, first_step_size=0.3,
            target=0.8,
        )  # fmt: skip
        torch.testing.assert_close(after.step_size, (log_step if m < 3 else log_mean).exp())
    for after, info in seen[3:]:
        assert torch.equal(info.step_size, log_mean.exp())
        assert torch.equal(after.log_mean, log_mean)
        assert torch.equal(after.shortfall, shortfall)
    assert state.taken.tolist() == [6] * 4


def test_without_a_warm_up_nothing_is_adapted():
    info = warmed(0, 3, step_size=0.25, chains=4)
    assert (info.step_size == 0.25).all()


def test_a_divergent_step_counts_as_rejected():
    kernel = HMC(1e4, leapfrog=2, warm_up=50)
    x = torch.ones(3, 2, dtype=torch.float64)
    state = kernel.init(lambda x: x.square().square().sum(1), x)
    for seed in range(50):
        noise = kernel.noise(x, torch.Generator().manual_seed(seed))
        state, info = kernel.step(lambda x: x.square().square().sum(1), state, noise)
        if seed == 0:
            assert info.divergent.tolist() == [1.0] * 3
    assert (state.step_size < 2).all()  # from 10,000
