import copy

import pytest
import torch
from ebmcore_nets import MLP, Conv, ResNet

ALL = ["leaky_relu", "silu", "softplus", "elu", "tanh"]
SMOOTH = ["silu", "softplus", "tanh"]


def mlp(**keys):
    return MLP(event_shape=(3, 2), **{"hidden": [7, 5], **keys})


def conv(**keys):
    return Conv(event_shape=(4, 6), **{"channels": [3, 4], **keys})


def resnet(**keys):
    return ResNet(event_shape=(5, 4), **{"width": 3, "blocks": 2, **keys})


BUILDERS = pytest.mark.parametrize("build", [mlp, conv, resnet])


def events(energy, n, dtype=torch.float32):
    return torch.randn(n, *energy.event_shape, dtype=dtype)


@BUILDERS
@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("activation", ALL)
def test_one_energy_per_event_that_no_other_event_moves(build, activation, spectral_norm):
    energy = build(activation=activation, spectral_norm=spectral_norm).double().eval()
    x = events(energy, 6, torch.float64)
    together = energy(x)
    assert together.shape == (6,)
    assert together.dtype == torch.float64
    alone = torch.cat([energy(x[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(together, alone)
    moved = energy(torch.cat([x[:1], 100 * x[1:]]))
    torch.testing.assert_close(moved[0], together[0])
    assert (moved[1:] != together[1:]).all()
    assert energy(x[:0]).shape == (0,)


def test_leaky_relu_has_slope_one_fifth():
    energy = MLP((1,), hidden=[1])
    with torch.no_grad():
        for p in energy.parameters():
            p.fill_(float(p.ndim == 2))
    torch.testing.assert_close(energy(torch.tensor([[-1.0], [2.0]])), torch.tensor([-0.2, 2.0]))


@BUILDERS
@pytest.mark.parametrize("activation", SMOOTH)
def test_first_and_second_derivatives_by_finite_differences(build, activation):
    energy = build(activation=activation).double()
    x = events(energy, 2, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(energy, x)
    assert torch.autograd.gradgradcheck(energy, x)


@BUILDERS
def test_derivatives_under_spectral_norm(build):
    energy = build(activation="silu", spectral_norm=True).double().eval()
    x = events(energy, 2, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(energy, x)
    assert torch.autograd.gradgradcheck(energy, x)


@BUILDERS
@pytest.mark.parametrize("activation", ALL)
def test_piecewise_linear_means_that_the_hessian_is_zero(build, activation):
    energy = build(activation=activation).double()
    assert energy.piecewise_linear is (activation == "leaky_relu")
    x = events(energy, 1, torch.float64)
    hessian = torch.autograd.functional.hessian(lambda x: energy(x).sum(), x)
    assert (hessian.abs().max() == 0).item() is energy.piecewise_linear


@BUILDERS
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_every_parameter_gets_a_gradient(build, spectral_norm):
    energy = build(spectral_norm=spectral_norm, activation="silu")
    energy(events(energy, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in energy.parameters())


@BUILDERS
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_meta_device_and_state_round_trip(build, spectral_norm):
    energy = build(spectral_norm=spectral_norm)
    with torch.device("meta"):
        shape_only = build(spectral_norm=spectral_norm)
    for on_meta in (shape_only, copy.deepcopy(energy).to("meta")):
        assert on_meta(events(energy, 5).to("meta")).shape == (5,)
    other = build(spectral_norm=spectral_norm)
    x = events(energy, 5)
    assert not torch.equal(energy.eval()(x), other.eval()(x))
    other.load_state_dict(energy.state_dict())
    assert torch.equal(energy(x), other(x))


@BUILDERS
def test_spectral_norm_bounds_weights_and_updates_in_train_mode(build):
    energy = build(spectral_norm=True)
    x = events(energy, 2)
    for _ in range(300):
        energy(x)
    weighted = (torch.nn.Linear, torch.nn.Conv2d)
    weights = [m.weight for m in energy.eval().modules() if isinstance(m, weighted)]
    largest = torch.stack([torch.linalg.matrix_norm(w.flatten(1), 2) for w in weights])
    torch.testing.assert_close(largest, torch.ones(len(weights)), rtol=1e-3, atol=1e-3)
    before = copy.deepcopy(energy.state_dict())
    energy(x)
    assert all(torch.equal(before[k], v) for k, v in energy.state_dict().items())


@BUILDERS
def test_each_activation_gives_another_energy(build):
    plain = build(activation="silu").eval()
    x = events(plain, 3)
    seen = [plain(x)]
    for activation in ["leaky_relu", "softplus", "elu", "tanh"]:
        other = build(activation=activation)
        other.load_state_dict(plain.state_dict())
        seen.append(other(x))
    differ = [not torch.allclose(a, b) for i, a in enumerate(seen) for b in seen[:i]]
    assert all(differ)


def test_the_defaults_and_the_widths():
    shapes = [tuple(p.shape) for p in MLP((2,)).parameters() if p.ndim > 1]
    assert shapes == [(128, 2), (128, 128), (1, 128)]
    assert MLP((2,)).piecewise_linear
    shapes = [tuple(p.shape) for p in MLP((2, 3), hidden=[9, 4]).parameters() if p.ndim > 1]
    assert shapes == [(9, 6), (4, 9), (1, 4)]
    shapes = [tuple(p.shape) for p in Conv((3, 28, 28)).parameters() if p.ndim > 1]
    assert shapes == [
        (32, 3, 3, 3), (64, 32, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (1, 256 * 3 * 3),
    ]  # fmt: skip
    shapes = [tuple(p.shape) for p in ResNet((3, 28, 28)).parameters() if p.ndim > 1]
    assert shapes == [(64, 3, 3, 3), *[(64, 64, 3, 3)] * 6, (1, 64 * 4 * 4)]
    assert not Conv((8, 8)).piecewise_linear
    assert not ResNet((8, 8)).piecewise_linear


def test_what_a_constructor_refuses():
    with pytest.raises(ValueError, match=r"shape \(H, W\) or \(C, H, W\); got \(2,\)"):
        Conv((2,))
    for shape in [(2,), (1, 2, 3, 4)]:
        with pytest.raises(ValueError, match=r"shape \(H, W\) or \(C, H, W\); got \(.*2"):
            ResNet(shape)
    with pytest.raises(ValueError, match=r"\(1, 9\) have a side of 1, which can't be pooled"):
        ResNet((1, 9))
    with pytest.raises(ValueError, match=r"hidden should be positive numbers; got \[3, 0\]"):
        MLP((2,), hidden=[3, 0])
    with pytest.raises(ValueError, match=r"channels should be positive numbers; got \[-1\]"):
        Conv((8, 8), channels=[-1])
    for keys in ({"width": 0}, {"blocks": 0}):
        with pytest.raises(ValueError, match="width and blocks should be positive numbers"):
            ResNet((8, 8), **keys)
    for build, shape in [(MLP, (0,)), (Conv, (0, 8, 8)), (ResNet, (8, 0))]:
        with pytest.raises(ValueError, match="hold no numbers"):
            build(shape)


@BUILDERS
@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("relu", "got 'relu'; did you mean 'elu'?"),
        ("SiLU", "got 'SiLU'; did you mean 'silu'?"),
        ("swish", "got 'swish'"),
        (["silu"], "got ['silu']; did you mean 'silu'?"),
    ],
)
def test_an_unknown_activation_is_refused_with_the_known_ones(build, name, ending):
    with pytest.raises(ValueError, match=r"^activation should be one of ") as e:
        build(activation=name)
    assert "leaky_relu, silu, softplus, elu, tanh, by name" in str(e.value)
    assert str(e.value).endswith(ending)


@pytest.mark.parametrize("shape", [(4, 3), (4,), (4, 1, 2)])
def test_other_events_are_refused_in_one_sentence(shape):
    with pytest.raises(
        ValueError, match=r"^energy mlp was built for events of shape \(2,\); got "
    ) as e:
        MLP(event_shape=(2,))(torch.zeros(shape))
    assert str(e.value).endswith(str(shape[1:]))


def test_an_image_that_is_permuted_is_refused():
    with pytest.raises(
        ValueError, match=r"energy resnet was built .* \(3, 8, 8\); got \(8, 8, 3\)"
    ):
        ResNet((3, 8, 8), width=2)(torch.zeros(2, 8, 8, 3))
    with pytest.raises(ValueError, match=r"energy conv was built .* \(3, 8, 8\); got \(8, 8, 3\)"):
        Conv((3, 8, 8))(torch.zeros(2, 8, 8, 3))
