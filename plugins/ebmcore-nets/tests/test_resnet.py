import pytest
import torch
from ebmcore_nets import ResNet
from torch.nn import functional as F  # noqa: N812


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
def test_a_resnet_of_three_blocks_depends_on_every_pixel(shape):
    energy = ResNet(shape, width=4)
    x = torch.randn(2, *shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(energy(x).sum(), x)
    assert (gradient != 0).all()


@pytest.mark.parametrize(
    ("shape", "fit"), [((8, 8), 3), ((28, 28), 5), ((3, 9, 100), 4), ((2, 2), 1), ((9, 8), 3)]
)
def test_the_error_of_a_resnet_names_how_many_blocks_fit(shape, fit):
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
