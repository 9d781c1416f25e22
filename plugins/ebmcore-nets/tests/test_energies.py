import copy

import pytest
import torch
from ebmcore_nets import MLP, Conv, ResNet
from torch.nn import functional as F  # noqa: N812

ALL = ["leaky_relu", "silu", "softplus", "elu", "tanh"]
SMOOTH = ["silu", "softplus", "tanh"]


def mlp(**keys):
    return MLP(event_shape=(3, 2), **{"hidden": [7, 5], **keys})


def conv(**keys):
    return Conv(event_shape=(4, 6), **{"channels": [3, 4], **keys})


def resnet(**keys):
    return ResNet(event_shape=(5, 4), **{"width": 3, "blocks": 2, **keys})


BUILDERS = pytest.mark.parametrize("build", [mlp, conv, resnet])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


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


def test_an_mlp_is_its_formula():
    energy = MLP((2,), hidden=[3], activation="tanh")
    first, last = energy.layers[0], energy.layers[2]
    x = torch.randn(4, 2)
    expected = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(energy(x), expected[:, 0])


def test_leaky_relu_has_slope_one_fifth():
    energy = MLP((1,), hidden=[1])
    with torch.no_grad():
        for p in energy.parameters():
            p.fill_(float(p.ndim == 2))
    torch.testing.assert_close(energy(torch.tensor([[-1.0], [2.0]])), torch.tensor([-0.2, 2.0]))


def test_without_hidden_layers_an_mlp_is_linear():
    energy = MLP((2,), hidden=[])
    x = torch.randn(5, 2)
    torch.testing.assert_close(energy(x) + energy(-x), 2 * energy(torch.zeros(5, 2)))
    assert len(list(energy.parameters())) == 2


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
def test_piecewise_linear_says_that_the_hessian_is_zero(build, activation):
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
def test_spectral_norm_bounds_the_weights_and_moves_only_in_train_mode(build):
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


def test_a_conv_is_its_formula():
    energy = Conv((2, 6, 7), channels=[3, 4], activation="tanh")
    first, halving, head = (energy.layers[i] for i in (0, 2, 5))
    x = torch.randn(4, 2, 6, 7)
    h = torch.tanh(F.conv2d(x, first.weight, first.bias, stride=1, padding=1))
    h = torch.tanh(F.conv2d(h, halving.weight, halving.bias, stride=2, padding=1))
    assert h.shape == (4, 4, 3, 3)
    torch.testing.assert_close(energy(x), h.flatten(1) @ head.weight[0] + head.bias)


def test_a_resnet_is_its_formula():
    """On an image of odd height, each 2×2 mean written out; the last row has means of two."""
    energy = ResNet((2, 5, 4), width=3, blocks=1, activation="tanh").double()
    stem, block, _, _, _, head = energy.layers
    first, second = block.branch[1], block.branch[3]
    x = torch.randn(4, 2, 5, 4, dtype=torch.float64)
    h = F.conv2d(x, stem.weight, stem.bias, padding=1)
    branch = F.conv2d(torch.tanh(h), first.weight, first.bias, padding=1)
    h = h + F.conv2d(torch.tanh(branch), second.weight, second.bias, padding=1)
    rows = [slice(0, 2), slice(2, 4), slice(4, 5)]
    columns = [slice(0, 2), slice(2, 4)]
    pooled = torch.stack(
        [torch.stack([h[:, :, r, c].mean((2, 3)) for c in columns], -1) for r in rows], -2
    )
    expected = torch.tanh(pooled).flatten(1) @ head.weight[0] + head.bias
    torch.testing.assert_close(energy(x), expected)


def test_a_resnet_of_zero_branches_is_its_skip():
    """With W₂ = 0, b₂ = 0 every block hands on what it got, so two 2×2 means are one 4×4 mean."""
    energy = ResNet((4, 4), width=3, blocks=2, activation="tanh").double()
    with torch.no_grad():
        for layer in (energy.layers[1], energy.layers[3]):
            layer.branch[3].weight.zero_()
            layer.branch[3].bias.zero_()
    stem, head = energy.layers[0], energy.layers[-1]
    x = torch.randn(5, 4, 4, dtype=torch.float64)
    means = F.conv2d(x[:, None], stem.weight, stem.bias, padding=1).mean((2, 3))
    torch.testing.assert_close(energy(x), torch.tanh(means) @ head.weight[0] + head.bias)


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (1, 28, 28), (3, 9, 17), (5, 100)])
def test_a_resnet_takes_any_size_that_three_blocks_fit_and_sees_every_pixel(shape):
    energy = ResNet(shape, width=4)
    x = torch.randn(2, *shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(energy(x).sum(), x)
    assert (gradient != 0).all()


@pytest.mark.parametrize(
    ("shape", "fit"), [((8, 8), 3), ((28, 28), 5), ((3, 9, 100), 4), ((2, 2), 1), ((9, 8), 3)]
)
def test_a_resnet_says_how_many_blocks_fit(shape, fit):
    assert ResNet(shape, width=2, blocks=fit)(torch.zeros(2, *shape)).shape == (2,)
    with pytest.raises(ValueError, match=rf"of shape .* fit at most {fit} blocks, ") as e:
        ResNet(shape, width=2, blocks=fit + 1)
    assert str(shape) in str(e.value)
    assert str(e.value).endswith(f"got {fit + 1}")


def test_a_resnet_of_one_channel_is_that_of_plain_images():
    plain, coloured = ResNet((8, 8), width=4), ResNet((1, 8, 8), width=4)
    coloured.load_state_dict(plain.state_dict())
    x = torch.randn(3, 8, 8)
    assert torch.equal(plain(x), coloured(x[:, None]))


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (1, 28, 28), (3, 9, 17), (8, 100)])
def test_a_conv_takes_any_size_that_four_entries_fit(shape):
    assert Conv(shape)(torch.randn(2, *shape)).shape == (2,)


def test_a_conv_of_one_channel_is_that_of_plain_images():
    plain, coloured = Conv((8, 8)), Conv((1, 8, 8))
    coloured.load_state_dict(plain.state_dict())
    x = torch.randn(3, 8, 8)
    assert torch.equal(plain(x), coloured(x[:, None]))


@pytest.mark.parametrize(
    ("shape", "fit"), [((8, 8), 4), ((28, 28), 5), ((3, 7, 100), 3), ((1, 1), 1), ((9, 8), 4)]
)
def test_a_conv_says_how_many_entries_fit(shape, fit):
    assert Conv(shape, channels=[2] * fit)(torch.zeros(2, *shape)).shape == (2,)
    for wrong in (0, fit + 1):
        with pytest.raises(
            ValueError, match=rf"of shape .* fit 1 to {fit} entries of channels, "
        ) as e:
            Conv(shape, channels=[2] * wrong)
        assert str(shape) in str(e.value)
        assert str(e.value).endswith(f"got {wrong}")


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
def test_an_unknown_activation_is_refused_with_those_that_there_are(build, name, ending):
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
