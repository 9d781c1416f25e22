"""The warm-up of HMC and NUTS: it reaches its target, finds the masses, and is carried on."""

import math

import pytest
import torch
from ebmcore_hmc import HMC, NUTS
from ebmcore_hmc.kernel import HMCState
from ebmcore_hmc.nuts import NUTSState

from ebmcore import Adapted, Sampler, Start, sample_chain

SCALES = torch.tensor([0.05, 0.2, 1.0, 3.0], dtype=torch.float64)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(x):
    return 0.5 * (x / SCALES).square().sum(1)


def warmed(kernel, *, chains=16, n_steps=80):
    x = torch.randn(chains, 4, generator=seeded(1), dtype=torch.float64)
    lengths = {"burn_in": kernel.warm_up, "n_steps": n_steps}
    return sample_chain(kernel, gaussian, x, generator=seeded(2), trace=True, **lengths)[1]


@pytest.fixture(scope="module")
def traces():
    """Traces of kernels that know nothing of the scales, whose condition number is 3,600."""
    kernels = {
        "hmc": HMC(0.1, leapfrog=4, warm_up=150),
        "nuts": NUTS(warm_up=150, max_depth=3),
        "dense": NUTS(warm_up=150, max_depth=3, mass="dense"),
    }
    return {name: warmed(kernel) for name, kernel in kernels.items()}


@pytest.mark.parametrize("name", ["hmc", "nuts", "dense"])
def test_the_warm_up_reaches_its_target_and_stays_there(traces, name):
    info = traces[name].info
    assert abs(info.acceptance.mean().item() - 0.8) < 0.03
    assert torch.equal(info.step_size, info.step_size[:1, :1].expand_as(info.step_size))
    assert info.divergent.sum() == 0


@pytest.mark.parametrize("name", ["hmc", "nuts", "dense"])
def test_all_scales_mix_alike(traces, name):
    """With the right masses the moments of 16 chains of 80 steps are right in each direction.

    One in ten of the 1,280 counts here: a standard error of a variance from 128 draws is 12.5 %.
    """
    z = traces[name].x / SCALES
    assert (z.flatten(0, 1).mean(0).abs() < 4 / math.sqrt(128)).all()
    assert (z.flatten(0, 1).var(0) - 1).abs().max() < 4 * 0.125


@pytest.mark.parametrize(
    "kernel", [HMC(0.3, leapfrog=2, warm_up=40), NUTS(warm_up=40, max_depth=3)]
)
def test_short_runs_that_carry_it_are_one_long_run(kernel):
    """The adaptation, the points and the generator: 50 steps in runs of 7, 13 and 30."""
    x = torch.randn(6, 4, generator=seeded(1), dtype=torch.float64)
    whole, parts = seeded(2), seeded(2)
    wanted = Sampler(kernel, 50)(gaussian, x, whole)
    start = Start(x)
    for n_steps in (7, 13, 30):
        found = Sampler(kernel, n_steps)(gaussian, start, parts)
        start = Start(found.x, carried=found.carried)
    assert set(found.carried) == set(Adapted._fields)
    assert found.carried["taken"].tolist() == [50] * 6
    assert torch.equal(found.x, wanted.x)
    for name, value in wanted.carried.items():
        assert torch.equal(found.carried[name], value)


@pytest.mark.parametrize("state", [HMCState, NUTSState])
def test_the_state_ends_with_what_is_adapted(state):
    assert state._fields[-len(Adapted._fields) :] == Adapted._fields


def test_masses_that_are_given_are_where_it_begins():
    kernel = HMC(1.0, leapfrog=2, warm_up=5, mass=(1 / SCALES**2).tolist())
    x = torch.randn(6, 4, generator=seeded(1), dtype=torch.float64) * SCALES
    found = Sampler(kernel, 9)(gaussian, x, seeded(2))
    torch.testing.assert_close(found.carried["scale"][3], SCALES)


def test_without_a_warm_up_nothing_is_adapted():
    trace = warmed(HMC(0.002, leapfrog=2), n_steps=3)
    assert (trace.info.step_size == 0.002).all()
    assert HMC().carries == ()
    trace = warmed(NUTS(0.002, warm_up=0, max_depth=2), n_steps=3)
    assert (trace.info.step_size == 0.002).all()


@pytest.mark.parametrize("kernel", [HMC(1e4, leapfrog=2, warm_up=50), NUTS(1e4, warm_up=50)])
def test_a_divergent_step_counts_as_rejected(kernel):
    x = torch.ones(3, 2, dtype=torch.float64)
    energy = lambda x: x.square().square().sum(1)  # noqa: E731
    state = kernel.init(energy, x, **_slots(kernel, x))
    for seed in range(50):
        noise = kernel.noise(x, torch.Generator().manual_seed(seed))
        state, info = kernel.step(energy, state, noise)
        if seed == 0:
            assert info.divergent.tolist() == [1.0] * 3
    assert (state.step_size < 2).all()  # from 10,000


def _slots(kernel, x):
    from ebmcore.sampling import carried_by

    slots = {"carried": carried_by(Start(x))}
    return slots if isinstance(kernel, HMC) else {**slots, "generator": seeded(0)}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_first_step_of_nuts_keeps_half_of_the_chains(scale):
    """On N(0, s²) in the plane it is s times that on N(0, 1), to the power of 2 next to it."""
    x = scale * torch.randn(200, 2, generator=seeded(1), dtype=torch.float64)
    energy = lambda x: 0.5 * (x / scale).square().sum(1)  # noqa: E731
    kernel = NUTS(warm_up=0, max_depth=1)
    found = kernel.init(energy, x, **_slots(kernel, x)).step_size / scale
    assert 0.9 < found[0] < 4


def test_paths_double_less_while_the_masses_are_rough():
    """Nothing turns on a flat energy; of 150 steps the first window lasts from 76 to 100."""
    kernel, x = NUTS(1.0, warm_up=150), torch.zeros(4, 2, dtype=torch.float64)
    flat = lambda x: 0 * x.sum(1)  # noqa: E731
    state = kernel.init(flat, x, **_slots(kernel, x))
    for taken, depth in ((0, 6), (74, 6), (75, 8), (99, 8), (100, 10)):
        at = state._replace(taken=torch.full_like(state.taken, taken))
        info = kernel.step(flat, at, kernel.noise(x, seeded(3)))[1]
        assert info.depth.tolist() == [depth] * 4
