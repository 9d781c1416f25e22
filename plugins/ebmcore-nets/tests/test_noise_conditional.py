"""The noise-conditional energy: its ladder, its default level, its formula."""

import pytest
import torch
from ebmcore_nets import MLP, NoiseConditional


@pytest.fixture
def energy() -> NoiseConditional:
    net = MLP((2,), hidden=[8], activation="silu", outputs=3)
    return NoiseConditional(net, sigma_min=0.1, sigma_max=1.6, levels=5).double()


def test_levels_fall_in_equal_ratios(energy):
    expected = torch.tensor([1.6, 0.8, 0.4, 0.2, 0.1], dtype=torch.float64)
    torch.testing.assert_close(energy.sigmas, expected, rtol=1e-6, atol=0)


def test_it_is_its_formula_and_without_t_the_smallest_level(energy):
    x, t = torch.randn(4, 2, dtype=torch.float64), torch.tensor([0.1, 0.3, 1.0, 5.0]).double()
    weights = energy.of_level(t.log()[:, None])
    expected = sum(energy.net(x)[:, k] * weights[:, k] for k in range(3))
    torch.testing.assert_close(energy(x, t), expected)
    torch.testing.assert_close(energy(x), energy(x, energy.sigmas[-1].expand(4)))


def test_wrong_levels_and_nets_are_refused(energy):
    with pytest.raises(ValueError, match="sigma_min should be above 0 and below sigma_max; got 2"):
        NoiseConditional(energy.net, sigma_min=2.0, sigma_max=1.0)
    with pytest.raises(ValueError, match="set its key `outputs`"):
        NoiseConditional(MLP((2,)))
    with pytest.raises(ValueError, match=r"one noise level for each event, shape \(4,\)"):
        energy(torch.zeros(4, 2).double(), torch.ones(4, 1).double())


class Mean(torch.nn.Module):
    """The mean of the steps that count, and its square."""

    outputs = 2

    def forward(self, x, mask=None):
        mask = torch.ones_like(x) if mask is None else mask
        mean = (x * mask).sum(1) / mask.sum(1)
        return torch.stack([mean, mean**2], 1)


def test_a_mask_goes_to_the_net(energy):
    of_steps = NoiseConditional(Mean())
    x, t = torch.randn(4, 3), torch.full((4,), 0.3)
    mask = torch.tensor([[1, 1, 0]]).bool().expand(4, 3)
    assert torch.equal(of_steps(x, t, mask), of_steps(x[:, :2], t))
    assert not torch.equal(of_steps(x, t), of_steps(x, t, mask))
    with pytest.raises(ValueError, match="the net MLP takes none, so their padding would count"):
        energy(torch.randn(4, 2), t, torch.ones(4, 2))
