import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from ebmcore_monitors.exact_likelihood import ExactLikelihood, _warn_of_error
from ebmcore_monitors.likelihood.quadrature import integrate

from ebmcore import Binary, Categorical, Mixed, Real, Transform, Transforms
from ebmcore.data import Data, transform_data


def gaussian_energy(precision):
    return lambda x: 0.5 * torch.einsum("bi,ij,bj->b", x, precision.to(x), x)


@pytest.mark.parametrize("constant", [0.0, 7.0])
def test_the_true_mixture_as_model_has_no_divergence(make_view, new_mixture, warned, constant):
    truth = new_mixture(constant=constant)
    view = make_view(truth, truth.draw(5000), held_out=truth.draw(2000, 1), dataset=truth)
    found = ExactLikelihood()(view)
    assert found["kl"] == pytest.approx(0, abs=1e-5)
    assert found["log_z"] == pytest.approx(-constant, abs=1e-5)
    assert found["mass"] == pytest.approx(1, abs=1e-5)
    own_nll = -truth.log_prob(view.held_out).mean().item()
    assert found["nll"] == pytest.approx(own_nll, abs=1e-5)
    assert found["floor_gap"] == pytest.approx(found["nll"] - found["entropy"], abs=1e-12)
    assert warned == []


@pytest.mark.parametrize("d", [1, 2, 3])
def test_log_z_of_a_gaussian_is_the_closed_form(make_view, warned, d):
    g = torch.Generator().manual_seed(3)
    root = torch.eye(d) + 0.3 * torch.randn(d, d, generator=g).tril()
    covariance = root @ root.T
    x = torch.randn(4000, d, generator=g) @ root.T
    found = ExactLikelihood()(make_view(gaussian_energy(covariance.inverse()), x))
    expected = 0.5 * torch.logdet(2 * math.pi * covariance.double()).item()
    assert found["log_z"] == pytest.approx(expected, abs=1e-5)
    assert set(found) == {"log_z", "log_z_error", "leak"}
    assert abs(found["log_z"] - expected) <= found["log_z_error"] < 1e-5
    assert found["leak"] < 1e-6
    assert warned == []


def test_events_of_another_shape_are_points_too(make_view):
    x = torch.randn(2000, 1, 2, generator=torch.Generator().manual_seed(0))
    found = ExactLikelihood()(make_view(lambda x: 0.5 * (x**2).sum((1, 2)), x))
    assert found["log_z"] == pytest.approx(math.log(2 * math.pi), abs=1e-5)


def test_kl_and_entropy_of_two_gaussians_are_the_closed_forms(make_view, new_mixture):
    data = new_mixture(torch.tensor([[0.5, -0.5]]), sd=0.7)
    model = new_mixture(torch.tensor([[0.0, 0.0]]), sd=1.1)
    found = ExactLikelihood()(make_view(model, data.draw(5000), dataset=data))
    shift, ratio = 0.5, (0.7 / 1.1) ** 2
    expected = 0.5 * (2 * ratio + shift / 1.1**2 - 2 - 2 * math.log(ratio))
    assert found["kl"] == pytest.approx(expected, abs=1e-5)
    assert found["entropy"] == pytest.approx(math.log(2 * math.pi * math.e * 0.49), abs=1e-5)


def test_density_that_underflows_or_is_zero_adds_nothing(make_view):
    def log_prob(x):
        inside = ((x >= 0) & (x <= 1)).all(1)
        return torch.where(inside, 0.0, -torch.inf)

    def energy(x):
        return torch.where(((x >= 0) & (x <= 1)).all(1), 2.0, torch.inf)

    x = torch.linspace(0, 1, 101)[:, None]
    view = make_view(energy, x, dataset=SimpleNamespace(log_prob=log_prob))
    found = ExactLikelihood(points=4001)(view)
    assert found["log_z"] == pytest.approx(-2, abs=1e-3)
    assert found["kl"] == pytest.approx(0, abs=2e-3)
    assert found["entropy"] == pytest.approx(0, abs=1e-9)


def test_nll_below_the_floor_warns_and_is_not_recorded(make_view, new_mixture, warned):
    truth = new_mixture()
    leaked = truth.centres.detach().repeat(200, 1) + 0.01 * truth.draw(1000)
    found = ExactLikelihood()(make_view(truth, truth.draw(5000), held_out=leaked, dataset=truth))
    assert "nll" not in found
    assert "floor_gap" not in found
    assert found["kl"] == pytest.approx(0, abs=1e-5)
    (message,) = warned
    assert "impossible" in message
    assert f"{found['entropy']:.4f}" in message


def test_floor_may_come_from_an_attribute(make_view, new_mixture, warned):
    truth = new_mixture()
    held_out = truth.draw(1000, 1)
    for entropy, recorded in ((2.0, True), (9.0, False)):
        source = SimpleNamespace(entropy=entropy)
        view = make_view(truth, truth.draw(2000), held_out=held_out, dataset=source)
        found = ExactLikelihood()(view)
        assert found["entropy"] == entropy
        assert ("nll" in found) is recorded
    assert len(warned.about("impossible")) == 1


def test_chance_alone_does_not_warn(make_view, new_mixture, warned):
    truth = new_mixture()
    below = 0
    for seed in range(10):
        view = make_view(truth, truth.draw(1000), held_out=truth.draw(50, seed), dataset=truth)
        below += ExactLikelihood(points=121)(view)["floor_gap"] < 0
    assert below > 0
    assert warned == []


def test_unnormalised_density_is_not_recorded(make_view, new_mixture, warned):
    truth = new_mixture()
    half = SimpleNamespace(log_prob=lambda x: truth.log_prob(x) - math.log(2))
    found = ExactLikelihood()(make_view(truth, truth.draw(1000), dataset=half))
    assert found["mass"] == pytest.approx(0.5, abs=1e-5)
    assert "kl" not in found
    assert "entropy" not in found
    assert warned.about("integrates to 0.5")


def test_negative_kl_warns_and_is_not_recorded(make_view, new_mixture, warned):
    truth = new_mixture()
    short = SimpleNamespace(log_prob=lambda x: truth.log_prob(x) - 0.005)
    found = ExactLikelihood()(make_view(truth, truth.draw(1000), dataset=short))
    assert "kl" not in found
    assert warned.about("below 0, which is impossible")


def test_a_coarse_grid_is_refined(make_view, new_mixture, warned):
    truth = new_mixture(sd=0.1)
    found = ExactLikelihood(points=20)(make_view(truth, truth.draw(1000)))
    assert abs(found["log_z"]) <= found["log_z_error"] < 1e-3
    assert warned == []


@pytest.mark.parametrize(
    ("error", "doubts", "expected"),
    [
        (0.009, (), None),
        (0.011, (), "may be off by 0.011 nats: the energy bends too sharply"),
        (0.0, ("thin wells", "many"), "may be off by 0 nats or more: thin wells; many"),
    ],
    ids=["below", "above", "doubted"],
)
def test_an_error_of_a_hundredth_nat_warns(make_view, warned, error, doubts, expected):
    x = torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    view = make_view(gaussian_energy(torch.eye(1)), x)
    box = torch.tensor([[-8.0], [8.0]])
    quadrature = integrate(view.energy, lambda grid: None, x, box, 51)._replace(doubts=doubts)
    _warn_of_error(view, quadrature, error)
    assert len(warned) == (expected is not None)
    assert expected is None or expected in warned[0]


class Two(torch.nn.Module):
    """Gaussians in d dimensions: weight 1 and sd 1 at 0, and another."""

    def __init__(self, mean, sd, log_weight):
        super().__init__()
        self.mean, self.sd, self.log_weight = torch.tensor(mean), sd, log_weight
        self.log_z = math.log1p(math.exp(log_weight))

    def forward(self, x):
        d = x.shape[1]
        one = -0.5 * x.square().sum(1) - d / 2 * math.log(2 * math.pi)
        other = -0.5 * ((x - self.mean.to(x)) / self.sd).square().sum(1) + self.log_weight
        return -torch.logaddexp(one, other - d / 2 * math.log(2 * math.pi * self.sd**2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_heavy_mode_outside_the_box_is_found_and_counted(make_view, warned, dtype):
    energy = Two((30.0, 30.0), 1.0, math.log(100))
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = ExactLikelihood()(make_view(energy, x))
    assert abs(found["log_z"] - energy.log_z) <= found["log_z_error"] < 2e-3
    assert warned == []


@pytest.mark.parametrize("sd", [1e-2, 1e-4])
def test_a_spike_that_a_data_point_touches_is_counted(make_view, warned, sd):
    energy = Two((0.513, 0.2), sd, 0.0)
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[77 * 5] = energy.mean + sd  # of every fifth, the points that wells are looked for at
    found = ExactLikelihood(points=101)(make_view(energy, x))
    assert abs(found["log_z"] - math.log(2)) <= found["log_z_error"] < 2e-3
    assert warned == []


@pytest.mark.parametrize(("d", "points", "volume"), [(1, 51, 2.0), (2, 61, math.pi)])
def test_an_energy_that_jumps_is_off_by_no_more_than_stated(make_view, warned, d, points, volume):
    g = torch.Generator().manual_seed(d)
    for _ in range(4):
        centre = torch.rand(d, generator=g, dtype=torch.float64)
        x = 2 * torch.rand(3000, d, generator=g, dtype=torch.float64) - 1
        x = x[x.square().sum(1) < 1] + centre
        view = make_view(
            lambda x, c=centre: torch.where((x - c).norm(dim=1) < 1, 0.0, torch.inf), x
        )
        found = ExactLikelihood(points=points)(view)
        assert abs(found["log_z"] - math.log(volume)) <= found["log_z_error"] < 2e-3
    assert warned == []


def test_chains_outside_the_box_are_told_once_and_counted(make_view, warned):
    energy = Two((0.0, 30.0), 1e-2, 3.0)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 2, generator=g, dtype=torch.float64)
    chains = torch.cat([x[:60], energy.mean + 1e-2 * torch.randn(4, 2, generator=g)])
    monitor = ExactLikelihood(points=101)
    for step in (1, 2):
        found = monitor(make_view(energy, x, x_neg=chains, step=step))
        assert abs(found["log_z"] - energy.log_z) <= found["log_z_error"] < 2e-3
    (message,) = warned
    assert message.startswith("4 of 64 chains lie outside the grid, from (-")


def test_an_energy_that_falls_without_end_is_told(make_view, warned):
    x = torch.randn(500, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = ExactLikelihood()(make_view(lambda x: 20 - (x[:, 0].abs() - 20).abs(), x))
    assert found["leak"] < 1e-6 or warned.about("cuts mass off")
    (message,) = warned.about("may be off by")
    assert "outside the grid the energy falls without end, to -" in message


def test_nan_energy_gives_no_number(make_view, new_mixture, warned):
    x = new_mixture().draw(100)
    assert ExactLikelihood()(make_view(lambda x: x.sum(1) * torch.nan, x)) == {}
    assert warned.about("can't be computed")


@pytest.mark.parametrize(("temperature", "times"), [(0.005, 1), (2.0, 1), (1.0, 0), (None, 0)])
def test_chains_at_another_temperature_warn_once_a_run(
    make_view, new_mixture, warned, temperature, times
):
    truth = new_mixture()
    kernel = SimpleNamespace(implied_temperature=temperature)
    monitor = ExactLikelihood(points=121)
    for step in (10, 20, 30):
        view = make_view(truth, truth.draw(500), dataset=truth, kernel=kernel, step=step)
        assert monitor(view)["kl"] == pytest.approx(0, abs=1e-4)
    found = warned.about("temperature")
    assert len(found) == len(warned) == times
    assert all(f"exp(-E/{temperature:.4g})" in message for message in found)
    monitor(make_view(truth, truth.draw(500), kernel=kernel, step=5))  # another run
    assert len(warned) == 2 * times


def test_chains_of_an_unknown_law_warn_with_the_reason(make_view, new_mixture, warned):
    truth, monitor = new_mixture(), ExactLikelihood(points=121)
    kernel = SimpleNamespace(implied_temperature=None, unknown_law="its scores are clipped")
    for step in (10, 20):
        monitor(make_view(truth, truth.draw(500), kernel=kernel, step=step))
    (message,) = warned.about("density isn't known: its scores are clipped")
    assert "those of exp(-E)" in message
    assert len(warned) == 1
    known = SimpleNamespace(implied_temperature=1.0, unknown_law="its step size decays")
    monitor(make_view(truth, truth.draw(500), kernel=known, step=5))
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("space", "shape"), [(Binary(), (2, 3)), (Categorical(3), (4,)), (Mixed((Binary(),) * 3), (3,))]
)
def test_discrete_events_are_added_up(make_view, warned, space, shape):
    field = torch.arange(1.0, 1 + math.prod(shape)).reshape(shape).double() / 3

    def energy(x):  # independent numbers: log Z is a sum
        return (x * field).flatten(1).sum(1)

    class Fair:
        def log_prob(self, x):
            return torch.full((len(x),), -math.log(math.prod(sizes)), dtype=x.dtype)

    sizes = space.sizes(shape)
    x = space.sample((60, *shape), torch.Generator().manual_seed(0), dtype=torch.float64)
    view = replace(make_view(energy, x[:40], held_out=x[40:], dataset=Fair()), space=space)
    found = ExactLikelihood()(view)
    values = [torch.arange(size).double() for size in sizes]
    log_z = sum(
        torch.logsumexp(-f * v, 0).item() for f, v in zip(field.flatten(), values, strict=True)
    )
    mean = sum(float(f * v.mean()) for f, v in zip(field.flatten(), values, strict=True))
    assert found["log_z"] == pytest.approx(log_z, abs=1e-12)
    assert found["entropy"] == pytest.approx(math.log(math.prod(sizes)), abs=1e-12)
    assert found["kl"] == pytest.approx(mean + log_z - math.log(math.prod(sizes)), abs=1e-12)
    assert found["nll"] == pytest.approx(energy(x[40:]).mean().item() + log_z, abs=1e-12)
    assert found["mass"] == pytest.approx(1, abs=1e-12)
    assert "leak" not in found
    assert warned == []


def test_warnings_of_discrete_events_advise_no_grid(make_view, warned):
    class Double:
        entropy = 3.0

        def log_prob(self, x):
            return torch.full((len(x),), -math.log(2))

    x = Binary().sample((40, 2), torch.Generator().manual_seed(0))
    view = replace(make_view(lambda x: x.sum(1), x, held_out=x, dataset=Double()), space=Binary())
    assert "nll" not in ExactLikelihood()(view)
    first, *others = warned
    assert first == (
        "the data's density integrates to 2.00000 over all events instead of 1: log_prob is not "
        "normalised; kl and entropy are not recorded"
    )
    assert others
    assert not any(word in text for text in warned for word in ("grid", "margin", "points`"))


def test_discrete_events_that_are_too_many_are_refused():
    monitor = ExactLikelihood()
    monitor.check((20,), Binary())
    with pytest.raises(ValueError, match=r"at most 1,048,576 events; there are 2\^784 binary ones"):
        monitor.check((28, 28), Binary())
    with pytest.raises(ValueError, match=r"mixed \(real, binary\) events are neither"):
        monitor.check((2,), Mixed((Real(), Binary())))


class Stretch(Transform):
    """y = sinh(a x + b), a different at each number of an event."""

    rate = torch.tensor([0.5, 0.8])

    def __call__(self, x):
        return torch.sinh(x * self.rate.to(x) + 0.3)

    def inverse(self, x):
        return (torch.asinh(x) - 0.3) / self.rate.to(x)

    def log_abs_det(self, x):
        return ((x * self.rate.to(x) + 0.3).cosh() * self.rate.to(x)).log().sum(1)


class Uncounted(Stretch):
    log_abs_det = Transform.log_abs_det


def transformed_view(make_view, truth, transform, **known):
    transforms = Transforms([transform])
    data = Data(truth.draw(2000), truth.draw(500, 1), None, torch.zeros(2, 2), source=truth)
    data = transform_data(data, transforms, None)
    return data, make_view(
        lambda x: -data.source.log_prob(x.double()), data.x, held_out=data.held_out,
        dataset=data.source, transforms=transforms, held_out_log_det=data.held_out_log_det, **known,
    )  # fmt: skip


def test_transformed_data_are_judged_in_their_own_units(make_view, new_mixture, warned):
    truth = new_mixture(torch.tensor([[0.0, 0.0], [1.0, 0.5]]), sd=0.4)
    plain = ExactLikelihood()(
        make_view(truth, truth.draw(2000), held_out=truth.draw(500, 1), dataset=truth)
    )
    data, view = transformed_view(make_view, truth, Stretch())
    found = ExactLikelihood(points=601)(view)
    assert not torch.allclose(data.x, truth.draw(2000), atol=0.1)  # the map is no identity
    assert found["kl"] == pytest.approx(0, abs=1e-4)
    assert found["mass"] == pytest.approx(1, abs=1e-4)
    for name in ("nll", "entropy", "kl_held_out", "floor_gap"):
        assert found[name] == pytest.approx(plain[name], abs=2e-4), name
    assert warned == []


def test_a_transform_without_determinant_is_told_once(make_view, new_mixture, warned):
    truth = new_mixture(torch.zeros(1, 2), sd=0.4)
    _, view = transformed_view(make_view, truth, Uncounted())
    view = replace(view, energy=lambda x: (x**2).sum(1))
    monitor = ExactLikelihood()
    assert set(monitor(view)) == set(monitor(view)) == {"log_z", "log_z_error", "leak"}
    (told,) = warned.about("log |det|")
    assert "transform 'Uncounted' has no log |det|" in told
