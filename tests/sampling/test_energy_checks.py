"""Many chains are evaluated in pieces, where no chain's energy depends on the others."""

import pytest
import torch
from torch import nn

from ebmcore.sampling import Differentiable, energy_and_score, given
from ebmcore.sampling.energy_checks import PIECE, WHOLE

N = WHOLE + 1
X = torch.randn(N, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.arange(float(N), dtype=torch.float64)


class Bowl(nn.Module):
    """s (y + 1) ‖x‖²/2, which notes how many chains it gets at once."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))
        self.sizes = []

    def forward(self, x, y=0.0):
        self.sizes.append(len(x))
        return self.scale * (y + 1) * x.square().sum(1) / 2


@pytest.mark.parametrize("y", [None, 2, torch.tensor(2.0), Y])
def test_pieces_give_each_chain_its_energy_and_score(y):
    energy = Bowl().eval()
    values, score = energy_and_score(given(energy, y=y), X)
    expected = X * -3 * (1 if y is None else torch.as_tensor(y).reshape(-1, 1) + 1)
    torch.testing.assert_close(score, expected)
    torch.testing.assert_close(values, -(expected * X).sum(1) / 2)
    assert energy.sizes == [PIECE, PIECE, N - 2 * PIECE]
    assert not values.requires_grad
    assert energy.scale.grad is None


def test_chains_that_may_depend_on_each_other_go_at_once():
    energy = Bowl()
    energy_and_score(energy, X)  # it trains: a norm may be that of the batch
    energy.eval()
    energy_and_score(energy, X[:WHOLE])
    energy_and_score(Differentiable(energy), X)
    energy_and_score(lambda x: energy(x, Y), X)
    energy_and_score(given(lambda x, y: energy(x, y), y=Y), X)
    assert energy.sizes == [N, WHOLE, N, N, N]
    with pytest.raises(ValueError, match=rf"one value per chain, shape \({PIECE},\)"):
        energy_and_score(nn.Identity().eval(), X)
