"""The warm-up by hand: dual averaging, Stan's windows, pooled variances, and what chains carry."""

import math

import pytest
import torch

from ebmcore import Adapted, Carried, WarmUp
from ebmcore.sampling.adaptation import dual_average, windows

close = torch.testing.assert_close
DOUBLE = torch.float64


def fresh(chains, fields=None, anew=True):
    return Carried(fields or {}, torch.full((chains,), anew))


def number(value):
    return torch.tensor(value, dtype=DOUBLE)


def begun(warm_up, x, size=0.3, scale=None):
    return warm_up.begin(x, fresh(len(x)), size, scale)


def test_three_steps_by_hand():
    """The recursion as it stands in the paper, in numbers of Python's own."""
    first, target, log_mean, shortfall = 0.3, 0.7, 0.0, 0.0
    now = Adapted(*begun(WarmUp(9, target=target), torch.zeros(1, 1, dtype=DOUBLE), first))
    for m, acceptance in enumerate([0.2, 0.9, 1.0], start=1):
        shortfall = (1 - 1 / (m + 10)) * shortfall + (target - acceptance) / (m + 10)
        log_step = math.log(10 * first) - math.sqrt(m) / 0.2 * shortfall
        log_mean = m**-0.75 * log_step + (1 - m**-0.75) * log_mean
        now = dual_average(now, number(acceptance), torch.tensor(m), target)
        found = torch.stack([now.step_size.log(), now.log_mean, now.shortfall])[:, 0]
        close(found, number([log_step, log_mean, shortfall]))


@pytest.mark.parametrize("c", [0.01, 10.0])
def test_it_finds_the_step_of_the_target_acceptance(c):
    """α = 1/(1 + (ε/c)²) is δ at ε = c √(1/δ - 1)."""
    now = begun(WarmUp(9, target=0.8), torch.zeros(1, 1, dtype=DOUBLE), 0.2)
    for m in range(1, 2001):
        now = dual_average(now, 1 / (1 + (now.step_size / c) ** 2), torch.tensor(m), 0.8)
    # what is left is the pull to μ: δ - α = γ (μ - log ε)/(2√m), dα/dlog ε = -2 δ (1 - δ)
    wanted = math.log(c * math.sqrt(1 / 0.8 - 1))
    pull = 0.1 * (math.log(2) - wanted) / math.sqrt(2000) / 0.32
    assert abs(now.step_size.log().item() - wanted - pull) < 0.1 * abs(pull)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        (1000, [75, 100, 150, 250, 450, 950]),  # as Stan's manual draws it
        (150, [75, 100]),
        (160, [75, 100, 110]),
        (100, [15, 90]),
        (20, [3, 18]),
    ],
)
def test_the_windows_of_stan(steps, wanted):
    assert windows(steps) == wanted


def driven(warm_up, points, acceptances, scale=None, precision=1.0):
    """Give points, (steps, chains, d), and acceptances, (steps, chains), to a warm-up.

    The scores are those of a Gaussian of this precision.
    """
    now = begun(warm_up, points[0], scale=scale)
    ok = torch.ones(points.shape[1], dtype=torch.bool)
    seen = []
    for x, acceptance in zip(points, acceptances, strict=True):
        now = warm_up.after(now, x, acceptance, ok, -precision * x)
        seen.append(now)
    return seen


def draws(steps, chains, d=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(steps, chains, d, generator=generator, dtype=DOUBLE)
    return x, torch.rand(steps, chains, generator=generator, dtype=DOUBLE)


@pytest.mark.parametrize("mass", ["diagonal", "dense"])
def test_the_mass_is_the_pooled_variance_of_its_window(mass):
    """100 steps: one window, steps 16 to 90, of 3 chains; shrunk by 5 points of 10⁻³ M⁻¹."""
    points, acceptances = draws(110, 3)
    points = points @ number([[2.0, 1.0], [0.0, 0.5]]) + 7
    seen = driven(WarmUp(100, target=0.8, mass=mass), points, acceptances, number([[3.0, 4.0]] * 3))
    window = points[15:90].flatten(0, 1)
    wanted = (225 * window.T.cov() + 5e-3 * torch.diag(number([9.0, 16.0]))) / 230
    scale = seen[89].scale[2]
    inverse = scale @ scale.T if mass == "dense" else scale.square()
    close(inverse, wanted if mass == "dense" else wanted.diag())
    close(seen[88].scale, begun(WarmUp(100, target=0.8, mass=mass), points[0], 1.0,
                                number([[3.0, 4.0]] * 3)).scale)  # fmt: skip
    assert torch.equal(seen[109].scale, seen[89].scale)


def test_the_step_begins_anew_and_ends_as_the_average():
    """By the recursion alone, from the acceptance of the chains; ε grows as its limit does."""
    points, acceptances = draws(110, 3)
    seen = driven(WarmUp(100, target=0.5), 0.1 * points, acceptances)
    now = begun(WarmUp(0, target=0.5), points[0])
    recent = torch.full((3,), 0.5, dtype=DOUBLE)
    for step in range(1, 101):
        m, acceptance = step if step <= 90 else step - 90, acceptances[step - 1]
        recent = 0.9 * recent + 0.1 * acceptance
        even = 1 / (1 / recent).mean() / recent.mean() if step <= 90 else 1.0
        gamma = 0.05 if step <= 90 else 0.2
        now = dual_average(now, acceptance.mean() * even, torch.tensor(m), 0.5, gamma)
        if step == 90:
            grown = (1 / seen[89].scale[0]).max()
            size = now.log_mean.exp() * grown
            now = now._replace(step_size=size, log_mean=size.log(), centre=size.log(),
                               shortfall=0 * now.shortfall)  # fmt: skip
        wanted = now.log_mean if step == 100 else now.step_size.log()
        close(seen[step - 1].step_size.log(), wanted)
    for later in seen[100:]:
        pairs = zip(Adapted._fields, later, seen[99], strict=True)
        assert all(torch.equal(a, b) for name, a, b in pairs if name not in ("taken", "recent"))
    assert seen[-1].taken.tolist() == [110] * 3


@pytest.mark.parametrize(("steps", "chains"), [(30, 3), (150, 6)])
def test_chains_that_are_not_ok_count_for_nothing(steps, chains):
    points, acceptances = draws(steps, chains)
    ok = torch.arange(chains) != 1
    every, others = (WarmUp(steps, target=0.8) for _ in range(2))
    sick = points.clone()
    sick[:, 1] = math.inf
    now, healthy = begun(every, sick[0]), begun(others, points[0, ok])
    for x, wanted, acceptance in zip(sick, points, acceptances, strict=True):
        now = every.after(now, x, acceptance, ok, -x)
        healthy = others.after(healthy, wanted[ok], acceptance[ok], ok[ok], -wanted[ok])
    close(tuple(row[ok] for row in now[:-1]), tuple(healthy[:-1]))
    close(now.recent[ok], healthy.recent)


@pytest.mark.parametrize("mass", ["diagonal", "dense"])
def test_early_masses_are_ratios_of_spreads(mass):
    """150 steps: after 10, 20, … 60 of the first 75; v on Gaussians, however narrow the chains."""
    precision = number([4.0, 1e-6])
    points, acceptances = draws(75, 5)
    points = 1e-3 * points + 7
    warm_up = WarmUp(150, target=0.8, mass=mass)
    assert warm_up.early == [10, 20, 30, 40, 50, 60]
    seen = driven(warm_up, points, acceptances, precision=precision)
    before, at = seen[8].scale[0], seen[9].scale[0]
    if mass == "dense":
        assert torch.equal(at, at.diag().diag())
        before, at = before.diag(), at.diag()
    assert torch.equal(before, torch.ones_like(before))
    close(at, precision.rsqrt())
    close(seen[74].scale, seen[9].scale)
    # ε grows by the most that a direction's √M⁻¹ shrank, here ½, and dual averaging begins anew
    now = begun(warm_up, points[0])
    recent = torch.full((5,), 0.8, dtype=DOUBLE)
    for step, acceptance in enumerate(acceptances[:11], start=1):
        recent = 0.9 * recent + 0.1 * acceptance
        even = 1 / (1 / recent).mean() / recent.mean()
        m = torch.tensor(step if step <= 10 else step - 10)
        now = dual_average(now, acceptance.mean() * even, m, 0.8, 0.05)
        if step == 10:
            log_size = now.log_mean + math.log(2)
            now = now._replace(centre=log_size, log_mean=log_size, shortfall=0 * now.shortfall)
    close(seen[10].step_size, now.step_size)


def test_three_chains_are_too_few_for_early_masses():
    points, acceptances = draws(75, 3)
    seen = driven(WarmUp(150, target=0.8), points, acceptances, precision=9.0)
    assert (seen[-1].scale == 1).all()


def test_early_masses_keep_directions_that_tell_nothing():
    points, acceptances = draws(11, 5)
    seen = driven(WarmUp(150, target=0.8), points, acceptances, precision=number([4.0, 0.0]))
    close(seen[-1].scale[0], number([0.5, 1.0]))


def test_under_20_steps_only_the_step_size_is_adapted():
    points, acceptances = draws(19, 3)
    seen = driven(WarmUp(19, target=0.8), points, acceptances)
    assert (seen[-1].scale == 1).all()
    assert (seen[-1].step_size != 0.3).all()


def test_chains_go_on_with_those_of_the_most_steps():
    warm_up = WarmUp(100, target=0.8)
    points, acceptances = draws(5, 4)
    ahead, behind = (driven(warm_up, points, acceptances)[n] for n in (4, 1))
    mixed = {
        name: torch.stack([a[0], b[1], b[2], a[3]])
        for name, a, b in zip(Adapted._fields, ahead, behind, strict=True)
    }
    some_anew = Carried(mixed, torch.tensor([False, False, True, False]))
    found = warm_up.begin(points[0], some_anew, 0.3)
    assert all(map(torch.equal, found[:-1], ahead[:-1]))
    own = torch.stack([ahead.recent[0], behind.recent[1], number(0.8), ahead.recent[3]])
    assert torch.equal(found.recent, own)
    anew = warm_up.begin(points[0], fresh(4, mixed), 0.3)
    assert all(map(torch.equal, anew, begun(warm_up, points[0])))


def test_a_chain_that_is_stuck_lowers_the_step_until_it_moves():
    """One of 16 chains moves under ε = 0.01 alone, the others are well at ε = 1."""
    warm_up, ok = WarmUp(100, target=0.8), torch.ones(16, dtype=torch.bool)
    x = draws(100, 16)[0]
    now, least = begun(warm_up, x[0]), math.inf
    for points in x[:90]:
        size = now.step_size
        acceptance = 1 / (1 + (size / 2).square())
        acceptance = torch.cat([acceptance[:15], (size[:1] < 0.01).double()])
        now = warm_up.after(now, points, acceptance, ok, -points)
        least = min(least, now.step_size[0].item())
    assert least < 0.01
