"""The order of the data is that of torch's shuffle, however it is kept in memory."""

import pytest
import torch

from ebmcore.train.loop import batches
from ebmcore.train.loop.batches import Batches
from ebmcore.train.rng import DATA_ORDER, Streams


class Half:
    size, rank = 2, 1


@pytest.mark.parametrize("points", [10**6, 7])
@pytest.mark.parametrize("done", [0, 3])
def test_an_epoch_is_the_shuffle_in_the_streams_own_order(done, points, monkeypatch):
    monkeypatch.setattr(batches, "_POINTS", points)
    order = torch.randperm(103, generator=Streams(3)(DATA_ORDER, on_cpu=True))
    wanted = order[:100].view(25, 4)
    found = list(Batches(torch.zeros(103, 2), 4, Streams(3), Half()).rest_of_epoch(done))
    assert torch.equal(torch.stack(found), wanted[done:, 2:])
    assert found[0].dtype == torch.int64
