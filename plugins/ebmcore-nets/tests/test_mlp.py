import torch
from ebmcore_nets import MLP


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
