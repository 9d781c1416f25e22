"""Many events are drawn in pieces, each kept chain at most once while there are enough."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from ebmcore import Chains, EbmError, Start
from ebmcore.cli.sample import write_draws
from ebmcore.runner.results.draws import PIECE
from ebmcore.runner.run import Run
from ebmcore.sampling import Sampler

N = PIECE + 5


class Kept(Chains):
    begins_at_data = False

    def __init__(self, size):
        self.size = size

    def kept(self):
        rows = torch.arange(float(self.size))
        return Start(rows[:, None], rows % 3)


class Labelled(nn.Module):
    def forward(self, x, y):
        return x[:, 0] + 2 * y


class Stays:
    """Chains that stay where they began."""

    def sample(self, energy, x, n_steps, generator):
        return x


def run(tmp_path, size):
    bounds = torch.tensor([[0.0], [1.0]])
    return Run(tmp_path, Labelled(), bounds=bounds, sampler=Sampler(Stays(), 1), chains=Kept(size))


def test_each_kept_chain_is_drawn_once_while_there_are_enough(tmp_path):
    made = run(tmp_path, N + 2)
    drawn = made.draw(N)
    assert [len(piece.x) for piece in made.draws(N)] == [PIECE, 5]
    assert len(drawn.x.unique()) == N
    assert torch.equal(drawn.y, drawn.x[:, 0] % 3)
    assert torch.equal(drawn.x, made.draw(N).x)
    assert not torch.equal(drawn.x, made.draw(N, seed=1).x)
    assert [len(piece.x) for piece in made.draws(PIECE)] == [PIECE]


def test_more_events_than_kept_chains_warn(tmp_path):
    made = run(tmp_path, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.draw(40)
    with pytest.warns(UserWarning, match="41 events begin at 40 kept chains, so some begin at"):
        assert made.sample(41).shape == (41, 1)
    assert set(torch.cat([piece.x for piece in made.draws(N)]).flatten().tolist()) == set(range(40))


@pytest.mark.parametrize("y", [2, torch.arange(N) % 2])
def test_conditions_of_pieces_are_those_given(tmp_path, y):
    drawn = run(tmp_path, N).draw(N, y=y)
    assert torch.equal(drawn.y, torch.as_tensor(y).expand(N))
    with pytest.raises(EbmError, match=f"one row for each of {N}; got 3"):
        run(tmp_path, N).draw(N, y=[1, 2, 3])


def test_pieces_are_written_as_one_array(tmp_path):
    made = run(tmp_path, N)
    file, drawn = tmp_path / "drawn.npz", made.draw(N)
    with file.open("wb") as opened:
        assert write_draws(opened, made, made.draws(N)) == [N, 1]
    with np.load(file) as found:
        assert sorted(found) == ["energy", "x", "y"]
        assert np.array_equal(found["x"], drawn.x)
        assert np.array_equal(found["y"], drawn.y)
        assert np.array_equal(found["energy"], drawn.x[:, 0] + 2 * drawn.y)
