"""The generator by hand, and the spread of its first samples."""

import pytest
import torch
from ebmcore_nets import MLPGenerator

RANGE = torch.tensor([[-1.0, 10.0], [3.0, 30.0]])


def test_by_hand():
    network = MLPGenerator((2,), RANGE, latent=1, hidden=[])
    with torch.no_grad():
        network.layers[0].weight.copy_(torch.tensor([[0.5], [-0.25]]))
        network.layers[0].bias.copy_(torch.tensor([0.0, 1.0]))
    # middle (1, 20), half widths (2, 10)
    expected = torch.tensor([[1.0, 30.0], [3.0, 25.0]])
    torch.testing.assert_close(network(torch.tensor([[0.0], [2.0]])), expected)


def test_its_first_samples_spread_over_the_range_of_the_data():
    torch.manual_seed(0)
    network = MLPGenerator((2,), RANGE, latent=16, hidden=(256, 256), activation="leaky_relu")
    events = network.sample(4000, torch.Generator().manual_seed(1)).detach()
    spread = events.std(0) / torch.tensor([2.0, 10.0])
    assert ((spread > 0.7) & (spread < 1.4)).all(), spread


def test_latents_follow_the_weights_and_others_are_refused():
    network = MLPGenerator((3, 4), latent=5, hidden=[6]).double()
    generator = torch.Generator().manual_seed(0)
    z = network.latents(7, generator)
    assert (z.shape, z.dtype) == ((7, 5), torch.float64)
    torch.testing.assert_close(network.sample(7, generator.manual_seed(0)), network(z))
    with pytest.raises(ValueError, match=r"takes z of shape \(batch, 5\); got \(7, 4\)"):
        network(z[:, 1:])
