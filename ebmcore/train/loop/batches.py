"""The order of the data: a shuffle for each epoch, each rank's share of every batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ebmcore.data.stream import Stream
from ebmcore.distributed.comm import Ranks
from ebmcore.train.rng import DATA_ORDER, Streams

_AT_ONCE = 1000  # batches, of no more than
_POINTS = 2**20  # in all


class Batches:
    """Indices of the training data, batch by batch.

    An epoch has as many whole batches as fit; the points left over wait for the next shuffle.

    Args:
        x: The training data, (n, *event), or the stream that reads them.
        batch_size: Points in a batch of all ranks.
        streams: The stream DATA_ORDER shuffles, the same on every rank.
        ranks: Each takes an equal share of a batch.
        whole: Whether each rank gets the indices of the whole batch, of which it takes its share.
    """

    def __init__(
        self,
        x: Tensor | Stream,
        batch_size: int,
        streams: Streams,
        ranks: Ranks,
        *,
        whole: bool = False,
    ) -> None:
        self.x = x
        self.batch_size = batch_size
        self.streams = streams
        self.ranks = ranks
        self.whole = whole
        self.per_epoch = len(x) // batch_size
        self._epoch_start: Tensor | None = None  # the stream's state before this epoch's shuffle

    def rest_of_epoch(self, step: int) -> Iterator[Tensor]:
        """Iterate over this rank's indices, (share,), of each batch left in the epoch after `step`.

        With `whole`, those of the batch of all ranks.
        """
        n, done = len(self.x), step % self.per_epoch
        stream = self.streams(DATA_ORDER, on_cpu=True)
        if done and self._epoch_start is not None:
            stream.set_state(self._epoch_start)
        self._epoch_start = stream.get_state()
        narrow = torch.int32 if n < 2**31 else torch.int64  # the same numbers in half the memory
        order = torch.randperm(n, generator=stream, dtype=narrow)
        batches = order[: self.per_epoch * self.batch_size].to(self.x.device)
        whole = batches.view(self.per_epoch, self.batch_size)
        share = whole if self.whole else whole.chunk(self.ranks.size, 1)[self.ranks.rank]
        # millions of small batches at once would take more memory than their points
        at_once = max(1, min(_AT_ONCE, _POINTS // self.batch_size))
        starts = range(done, len(share), at_once)
        return (index for start in starts for index in share[start : start + at_once].long())

    def epoch_start(self, step: int) -> Tensor | None:
        """Return the stream's state before the current epoch's shuffle; None between epochs."""
        return self._epoch_start if step % self.per_epoch else None

    def restore(self, epoch_start: Tensor | None) -> None:
        """Continue within the epoch whose shuffle began at this state of the stream."""
        self._epoch_start = epoch_start
