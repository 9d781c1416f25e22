"""Chains that start at the samples of a network."""

import pytest
import torch
from ebmcore_chains import Proposed
from torch import nn


class Drawn(nn.Module):
    """Samples without latents: draws around a mean."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([1.0, -1.0]))

    def sample(self, n, generator):
        return self.mean + torch.randn(n, 2, generator=generator)


class Latent(Drawn):
    """The same by way of latents."""

    def latents(self, n, generator):
        return torch.randn(n, 2, generator=generator)

    def forward(self, z):
        return self.mean + z


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", [Drawn, Latent])
def test_they_start_at_the_networks_samples(kind):
    network = kind()
    chains = Proposed({"other": nn.Linear(2, 2), "flow": network}, network="flow")
    begin = chains.start(torch.zeros(5, 2), seeded())
    assert not begin.requires_grad
    torch.testing.assert_close(begin, network.sample(5, seeded()).detach())
    assert chains.kept() is None
    if kind is Latent:
        torch.testing.assert_close(network(chains.latents), begin)
    else:
        assert chains.latents is None
    with torch.no_grad():
        network.mean.add_(2)  # the next start is at the network as it is then
    torch.testing.assert_close(chains.start(torch.zeros(5, 2), seeded()), begin + 2)


def test_what_they_refuse():
    with pytest.raises(ValueError, match="network: there is no network 'proposer'; there are: a"):
        Proposed({"a": Drawn(), "b": Drawn()})
    with pytest.raises(ValueError, match="there are: none"):
        Proposed({})
    with pytest.raises(ValueError, match=r"'proposer', Linear, has no method `sample\(n, gen"):
        Proposed({"proposer": nn.Linear(2, 2)})
    with pytest.raises(ValueError, match=r"samples have shape \(5, 2\); .* has \(5, 3\)"):
        Proposed({"proposer": Drawn()}).start(torch.zeros(5, 3), seeded())
