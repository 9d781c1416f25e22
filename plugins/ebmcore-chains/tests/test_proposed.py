"""Chains that start at the samples of a network."""

import pytest
import torch
from ebmcore_chains import Data, Persistent, Proposed
from torch import nn

from ebmcore import Chains, Real, Start, start_chains

REAL = Real()


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
    begin = chains.start(torch.zeros(5, 2), seeded()).x
    assert not begin.requires_grad
    torch.testing.assert_close(begin, network.sample(5, seeded()).detach())
    assert chains.kept() is None
    if kind is Latent:
        torch.testing.assert_close(network(chains.latents), begin)
    else:
        assert chains.latents is None
    with torch.no_grad():
        network.mean.add_(2)  # the next start is at the network as it is then
    torch.testing.assert_close(chains.start(torch.zeros(5, 2), seeded()).x, begin + 2)


def test_what_they_refuse():
    with pytest.raises(ValueError, match="network: there is no network 'proposer'; there are: a"):
        Proposed({"a": Drawn(), "b": Drawn()})
    with pytest.raises(ValueError, match="there are: none"):
        Proposed({})
    with pytest.raises(ValueError, match=r"'proposer', Linear, has no method `sample\(n, gen"):
        Proposed({"proposer": nn.Linear(2, 2)})
    with pytest.raises(ValueError, match=r"samples have shape \(5, 2\); .* has \(5, 3\)"):
        Proposed({"proposer": Drawn()}).start(torch.zeros(5, 3), seeded())


def test_the_others_are_those_of_the_rest_and_go_on():
    rest = Persistent(8, init="normal")
    chains = Proposed({"proposer": Latent()}, share=0.4, rest=rest)
    x, generator = torch.zeros(5, 2), seeded()
    begin = chains.start(x, generator)
    assert chains.latents.shape == (2, 2)
    torch.testing.assert_close(begin.x[:2], chains.network(chains.latents).detach())
    assert all((row == rest.kept().x).all(1).any() for row in begin.x[2:])
    p = torch.arange(10.0).reshape(5, 2)
    chains.keep(Start(begin.x + 1, carried={"momentum": p}))
    for row in begin.x[2:] + 1:
        assert (row == chains.kept().x).all(1).any()
    for _ in range(3):
        again = chains.start(x, generator)
        assert again.fresh[:2].all()  # a proposal carries nothing
        assert not again.carried["momentum"][:2].any()
        old = ~again.fresh[2:]
        assert all((row == p[2:]).all(1).any() for row in again.carried["momentum"][2:][old])
        assert old.any() or (~chains.kept().fresh).sum() == 3
    other = Proposed({"proposer": Latent()}, share=0.4, rest=Persistent(8))
    other.load_state_dict(chains.state_dict())
    torch.testing.assert_close(other.start(x, seeded(3)), chains.start(x, seeded(3)))


@pytest.mark.parametrize(("share", "rest"), [(1.0, Persistent(8)), (0.5, None)])
def test_a_share_and_a_rest_go_together(share, rest):
    with pytest.raises(ValueError, match="should be 1 without `rest` and below 1 with it"):
        Proposed({"proposer": Latent()}, share=share, rest=rest)


class Heard(Chains):
    """Chains that remember the slots of their last start."""

    def start(self, x, y, mask, space):
        self.slots = y, mask, space
        return Start(x, mask=mask)

    def keep(self, end):
        self.end = end


def test_the_rest_gets_the_slots_of_its_own_chains():
    rest, y, mask = Heard(), torch.arange(5), torch.eye(5, 2).bool()
    chains = Proposed({"proposer": Drawn()}, share=0.4, rest=rest)
    begin = start_chains(chains, torch.zeros(5, 2), generator=seeded(), y=y, mask=mask, space=REAL)
    assert (begin.y.tolist(), begin.mask.tolist()) == (y.tolist(), mask.tolist())
    assert [each.tolist() for each in rest.slots[:2]] == [y[2:].tolist(), mask[2:].tolist()]
    assert rest.slots[2] is REAL
    chains.keep(begin)
    assert torch.equal(rest.end.mask, mask[2:])


class Moving(Chains):
    """Chains that carry a momentum and don't say which of them are fresh."""

    def start(self, x):
        return Start(x, carried={"momentum": x})


@pytest.mark.parametrize(("share", "proposed"), [(0.1, 1), (0.4, 2), (0.59, 2), (0.6, 3)])
def test_the_share_is_rounded_down_and_at_least_one(share, proposed):
    x = torch.arange(10.0).reshape(5, 2)
    chains = Proposed({"proposer": Latent()}, share=share, rest=Data())
    begin = chains.start(x, seeded())
    assert len(chains.latents) == proposed
    assert torch.equal(begin.x[proposed:], x[proposed:])
    assert begin.fresh.all()


def test_a_rest_that_carries_fields_goes_on():
    begin = Proposed({"proposer": Drawn()}, share=0.4, rest=Moving()).start(torch.ones(5, 2))
    assert begin.fresh.tolist() == [True, True, False, False, False]
    assert begin.carried["momentum"].sum(1).tolist() == [0, 0, 2, 2, 2]


def test_ranks_share_the_rest():
    whole = Proposed({"proposer": Drawn()}, share=0.5, rest=Persistent(12, init="normal"))
    whole.start(torch.zeros(4, 2), seeded())
    halves = [Proposed({"proposer": Drawn()}, share=0.5, rest=Persistent(12)) for _ in range(2)]
    for rank, half in enumerate(halves):
        half.share(rank, 2)
        half.deal([whole.state_dict()], rank, 2)
        assert len(half.kept().x) == 6
    assert torch.equal(torch.cat([half.kept().x for half in halves]), whole.kept().x)
