import pytest
import torch
from ebmcore_nets import MLP

from ebmcore import Categorical


def test_an_mlp_is_its_formula():
    energy = MLP((2,), hidden=[3], activation="tanh")
    first, last = energy.layers[0], energy.layers[2]
    x = torch.randn(4, 2)
    expected = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(energy(x), expected[:, 0])


def test_without_hidden_layers_an_mlp_is_linear():
    energy = MLP((2,), hidden=[])
    x = torch.randn(5, 2)
    torch.testing.assert_close(energy(x) + energy(-x), 2 * energy(torch.zeros(5, 2)))
    assert len(list(energy.parameters())) == 2


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_categories_are_read_one_hot(spectral_norm):
    """Two encodings, one value: a linear net adds a weight for each category."""
    space, options = Categorical(3), {"spectral_norm": spectral_norm}
    energy = MLP((2, 2), hidden=[5], activation="tanh", space=space, **options).double().eval()
    x = torch.randint(3, (7, 2, 2))
    one_hot = torch.nn.functional.one_hot(x, 3).double().requires_grad_()
    assert torch.equal(energy(x), energy(one_hot))
    assert torch.autograd.grad(energy(one_hot).sum(), one_hot)[0].shape == (7, 2, 2, 3)
    line = MLP((2, 2), hidden=[], space=space).double()
    weights, bias = line.layers[0].weight.reshape(4, 3), line.layers[0].bias
    expected = weights[torch.arange(4), x.flatten(1)].sum(1) + bias
    torch.testing.assert_close(line(x), expected)
    with pytest.raises(ValueError, match=r"should have shape \(2, 2\); got \(4,\)"):
        energy(x.flatten(1))
