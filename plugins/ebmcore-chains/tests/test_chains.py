import math

import pytest
import torch
from ebmcore_chains import Data, Noise, Persistent

from ebmcore import Binary, Categorical, Real, Start, start_chains

BOUNDS = torch.tensor([[-1.0, 10.0, 5.0], [1.0, 30.0, 5.0]])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=8, dtype=torch.float32):
    return torch.randn(n, 3, generator=seeded(99), dtype=dtype)


def begin(chains, x, generator=None):
    return start_chains(chains, x, generator=generator).x


def every_kind():
    return {
        "data": Data(),
        "normal noise": Noise(kind="normal"),
        "uniform noise": Noise(data_range=BOUNDS),
        "persistent": Persistent(20, data_range=BOUNDS, reinit=0.5),
        "persistent normal": Persistent(20, init="normal"),
        "persistent data": Persistent(20, init="data", reinit=0.5),
    }


EACH = pytest.mark.parametrize("name", every_kind())


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_starts_like_x_and_leaves_x_alone(name, dtype):
    chains, x = every_kind()[name], batch(dtype=dtype).requires_grad_()
    before = x.detach().clone()
    start = begin(chains, x, seeded())
    assert (start.shape, start.dtype, start.device) == (x.shape, x.dtype, x.device)
    assert not start.requires_grad
    start.zero_()
    chains.keep(Start(start))
    assert torch.equal(x, before)


@EACH
def test_the_generator_alone_decides(name):
    outcomes = []
    for seed in (1, 1, 2):
        chains, generator = every_kind()[name], seeded(seed)
        state = torch.get_rng_state()
        starts = []
        for _ in range(3):
            starts.append(begin(chains, batch(), generator))
            chains.keep(Start(starts[-1] + 1))
        assert torch.equal(state, torch.get_rng_state())
        outcomes.append(torch.stack(starts))
    assert torch.equal(outcomes[0], outcomes[1])
    assert torch.equal(outcomes[0], outcomes[2]) is (name == "data")


@EACH
def test_without_a_generator_torch_s_own_is_used(name):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = begin(every_kind()[name], batch(), None)
        torch.manual_seed(3)
        assert torch.equal(first, begin(every_kind()[name], batch()))


@EACH
@pytest.mark.parametrize("generator", [None, seeded()])
def test_shapes_are_right_on_the_meta_device(name, generator):
    chains = every_kind()[name]
    start = begin(chains, torch.empty(8, 3, device="meta"), generator)
    assert start.shape == (8, 3)
    assert start.is_meta
    chains.keep(Start(start))


def test_data_chains_are_a_copy_of_the_batch():
    x = batch()
    start = Data().start(x, None)
    assert torch.equal(start, x)
    assert start.data_ptr() != x.data_ptr()
    assert Data().kept() is None
    assert Data().state_dict() == {}


def test_uniform_noise_fills_the_bounds_element_by_element():
    n = 20_000
    for chains in (Noise(data_range=BOUNDS), Persistent(n, data_range=BOUNDS)):
        noise = begin(chains, torch.zeros(n, 3, dtype=torch.float64), seeded())
        low, high = BOUNDS.double()
        width = high - low
        assert (noise >= low).all()
        assert (noise <= high).all()
        # the farthest of n uniform points is within 20 / n of an end but for a chance of e^-20
        assert (noise.amin(0) <= low + 20 / n * width).all()
        assert (noise.amax(0) >= high - 20 / n * width).all()
        stderr = width / math.sqrt(12 * n)
        assert ((noise.mean(0) - (low + high) / 2).abs() <= 5 * stderr).all()
        assert (noise[:, 2] == 5).all()
        # each element by itself: a correlation of 0, whose standard error is 1/√n
        assert abs(torch.corrcoef(noise[:, :2].T)[0, 1]) < 5 / math.sqrt(n)


def test_normal_noise_has_the_given_scale():
    n = 20_000
    for chains in (Noise(kind="normal", scale=3.0), Persistent(n, init="normal", scale=3.0)):
        noise = begin(chains, torch.zeros(n, 3), seeded())
        assert (noise.mean(0).abs() < 5 * 3 / math.sqrt(n)).all()
        assert ((noise.var(0) - 9).abs() < 5 * 9 * math.sqrt(2 / (n - 1))).all()


def test_noise_is_fresh_each_time():
    chains, generator = Noise(data_range=BOUNDS), seeded()
    assert not torch.equal(begin(chains, batch(), generator), begin(chains, batch(), generator))
    assert chains.kept() is None


def test_uniform_noise_needs_the_right_bounds():
    with pytest.raises(
        ValueError, match=r"needs the data's range: pass data_range=.* or kind='normal'"
    ):
        Noise().start(batch(), None)
    for chains in (Noise(data_range=BOUNDS[:, :2]), Persistent(20, data_range=BOUNDS[:, :2])):
        with pytest.raises(ValueError, match=r"should have shape \(2, 3\) .*; got \(2, 2\)"):
            begin(chains, batch(), None)


def test_noise_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match="kind should be normal or uniform; got 'data'"):
        Noise(kind="data")


@pytest.mark.parametrize("space", [Binary(), Categorical(5)], ids=str)
@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_noise_on_a_discrete_space_is_uniform_on_it(space, kind):
    x = space.sample((400, 3), seeded(9))
    made = [
        Noise(kind=kind, space=space, data_range=BOUNDS),
        Persistent(400, init=kind, space=space, data_range=BOUNDS, reinit=0.5),
    ]
    for chains in made:
        start = start_chains(chains, x, generator=seeded()).x
        space.check(start)
        assert start.dtype == x.dtype
        state = torch.get_rng_state()
        chains.start(x, generator=seeded())
        assert torch.equal(torch.get_rng_state(), state)
        counts = torch.bincount(start.flatten().long()) * len(start.unique()) / start.numel()
        assert ((counts - 1).abs() < 0.2).all()
        chains.keep(Start(start))
    assert made[1].kept().x.dtype == x.dtype


def test_uniform_noise_on_real_numbers_with_bounds_is_between_them():
    for made in (Noise, lambda **known: Persistent(500, **known)):
        start = begin(made(space=Real(-3, -2), data_range=BOUNDS), batch(500), seeded())
        assert -3 <= start.min() < -2.9
        assert -2.1 < start.max() <= -2
        open_ended = begin(made(space=Real(low=-3), data_range=BOUNDS), batch(500), seeded())
        assert torch.equal(open_ended, begin(made(data_range=BOUNDS), batch(500), seeded()))


def test_normal_noise_on_real_numbers_knows_no_bounds():
    for noise in (Noise(kind="normal", space=Real(-3, -2)),
                  Persistent(500, init="normal", space=Real(-3, -2))):  # fmt: skip
        start = begin(noise, batch(500), seeded())
        assert start.min() < -2.5
        assert start.max() > 2.5
