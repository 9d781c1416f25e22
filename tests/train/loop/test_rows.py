"""The rows of a batch: each rank's share of what one process draws."""

import random

import numpy as np
import torch
from torch.utils.data import Dataset

from ebmcore.config import Loader
from ebmcore.data import Data, Transforms, transform_data
from ebmcore.data.streamed import stream_data
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.rank import RankInfo
from ebmcore.train.loop.batches import Batches
from ebmcore.train.loop.rows import Rows
from ebmcore.train.rng import Streams


def jitter(x, generator):
    return x + torch.randn(x.shape, generator=generator, dtype=x.dtype)


def batches_of(data, rank, ranks):
    """Return what a rank trains on in an epoch, (x, y) by batch."""
    streams, group = Streams(3, rank=rank), Ranks(RankInfo(rank, ranks))
    rows = Rows(data, streams, group)
    points = data.x if data.stream is None else data.stream
    order = Batches(points, 10, streams, group, whole=rows.draws)
    taken = (rows(b, step) for step, b in enumerate(rows.read_ahead(order.rest_of_epoch(0), 0)))
    return [(x, conditions.y) for x, conditions in taken]


class Drawn(Dataset):
    """Items (x, y) that draw from each global generator, and tell which rows were read."""

    def __init__(self, x):
        self.x, self.read = x, []

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        self.read.append(row)
        noise = torch.rand(2) + np.random.random() + random.random()
        return self.x[row] + noise, row


def test_ranks_read_their_shares_and_draw_what_one_does():
    dataset = Drawn(torch.randn(40, 2, generator=torch.Generator().manual_seed(0)))
    given = {"loader": Loader(seen=5), "seed": 3, "holdout": 0.0, "dtype": torch.float32}
    plain = stream_data(dataset, generator=torch.Generator(), **given)
    assert (plain.n, len(plain.x), plain.n_held_out) == (40, 5, 0)
    for data in (plain, transform_data(plain, Transforms([jitter]), torch.Generator())):
        before = torch.get_rng_state(), random.getstate()
        alone = batches_of(data, 0, 1)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
        dataset.read.clear()
        shares = [batches_of(data, rank, 2) for rank in (0, 1)]
        assert sorted(dataset.read) == list(range(40))
        for whole, *parts in zip(alone, *shares, strict=True):
            for one, both in zip(whole, zip(*parts, strict=True), strict=True):
                assert torch.equal(one, torch.cat(both))


def test_two_ranks_draw_what_one_does():
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    plain = Data(x, x[:0], torch.arange(40), torch.stack([x.amin(0), x.amax(0)]))
    drawn = transform_data(plain, Transforms([jitter]), torch.Generator())
    for data in (plain, drawn):
        alone = batches_of(data, 0, 1)
        shares = [batches_of(data, rank, 2) for rank in (0, 1)]
        assert len(alone) == 4
        for whole, *parts in zip(alone, *shares, strict=True):
            for one, both in zip(whole, zip(*parts, strict=True), strict=True):
                assert torch.equal(one, torch.cat(both))
            assert torch.equal(whole[0], x[whole[1]]) == (data is plain)
