"""The rows of a batch: each rank's share of what one process draws."""

import torch

from ebmcore.data import Data, Transforms, transform_data
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
    order = Batches(data.x, 10, streams, group, whole=rows.draws)
    taken = (rows(index, step) for step, index in enumerate(order.rest_of_epoch(0)))
    return [(x, conditions.y) for x, conditions in taken]


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
