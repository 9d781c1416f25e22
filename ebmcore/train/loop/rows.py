"""Reads the rows of a batch from the training data, mapped anew where a transform draws."""

from __future__ import annotations

from torch import Tensor

from ebmcore.contracts import Conditions
from ebmcore.data.load import Data
from ebmcore.distributed.comm import Ranks
from ebmcore.train.components import blame
from ebmcore.train.rng import Streams

STREAM = "transform"  # the same on every rank


class Rows:
    """The rows of a batch, as the energy takes them.

    Transforms that draw map the batch of all ranks, with a stream that is the same on each, so that
    two ranks draw what one does; then each takes its share.

    Args:
        data: The training data.
        streams: The source of the transforms' stream.
        ranks: Each takes an equal share.
    """

    def __init__(self, data: Data, streams: Streams, ranks: Ranks) -> None:
        self.data = data
        self.streams = streams
        self.ranks = ranks
        self.draws = data.rows is not None  # then `index` holds the batch of all ranks

    def __call__(self, index: Tensor, step: int) -> tuple[Tensor, Conditions]:
        """Return this rank's x and conditions by a batch's indices; `step` counts those before."""
        if self.data.rows is None or self.data.transforms is None:
            return self.data.x[index], self.data.conditions.rows(index)
        with blame("data.transform", step):
            drawn = self.data.transforms.draw(self.data.rows[index], self.streams(STREAM))
        own = drawn.chunk(self.ranks.size)[self.ranks.rank]
        return own, self.data.conditions.rows(index.chunk(self.ranks.size)[self.ranks.rank])
