import pytest
import torch
from ebmcore_nets import Conv
from torch.nn import functional as F  # noqa: N812


def test_a_conv_is_its_formula():
    energy = Conv((2, 6, 7), channels=[3, 4], activation="tanh")
    first, halving, head = (energy.layers[i] for i in (0, 2, 5))
    x = torch.randn(4, 2, 6, 7)
    h = torch.tanh(F.conv2d(x, first.weight, first.bias, stride=1, padding=1))
    h = torch.tanh(F.conv2d(h, halving.weight, halving.bias, stride=2, padding=1))
    assert h.shape == (4, 4, 3, 3)
    torch.testing.assert_close(energy(x), h.flatten(1) @ head.weight[0] + head.bias)


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (1, 28, 28), (3, 9, 17), (8, 100)])
def test_a_conv_takes_any_size_that_four_entries_fit(shape):
    assert Conv(shape)(torch.randn(2, *shape)).shape == (2,)


def test_a_conv_of_one_channel_is_that_of_plain_images():
    plain, coloured = Conv((8, 8)), Conv((1, 8, 8))
    coloured.load_state_dict(plain.state_dict())
    x = torch.randn(3, 8, 8)
    assert torch.equal(plain(x), coloured(x[:, None]))


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8)])
def test_channels_last_is_the_same_energy_in_another_order(shape):
    plain, other = (Conv(shape, channels=[4, 6], channels_last=last) for last in (False, True))
    other.load_state_dict(plain.state_dict())
    given = []
    other.layers[2].register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    x = torch.randn(5, *shape, dtype=torch.float64)
    for one in (plain, other):
        one.double()(x).square().sum().backward()
    assert given[0].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(other(x), plain(x))
    for expected, found in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)
        assert found.grad.stride() == found.stride()


@pytest.mark.parametrize(
    ("shape", "fit"), [((8, 8), 4), ((28, 28), 5), ((3, 7, 100), 3), ((1, 1), 1), ((9, 8), 4)]
)
def test_the_error_of_a_conv_names_how_many_entries_fit(shape, fit):
    assert Conv(shape, channels=[2] * fit)(torch.zeros(2, *shape)).shape == (2,)
    for wrong in (0, fit + 1):
        with pytest.raises(
            ValueError, match=rf"of shape .* fit 1 to {fit} entries of channels, "
        ) as e:
            Conv(shape, channels=[2] * wrong)
        assert str(shape) in str(e.value)
        assert str(e.value).endswith(f"got {wrong}")
