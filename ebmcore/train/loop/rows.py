"""Reads the rows of a batch from the training data, from memory or from where they are stored."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ebmcore.contracts import Conditions
from ebmcore.data.load import Data
from ebmcore.data.row_reader import ReadRows
from ebmcore.data.stream import Stream
from ebmcore.data.transforms import TransformError, Transforms
from ebmcore.distributed.comm import Ranks
from ebmcore.errors import DataError
from ebmcore.train.components import blame
from ebmcore.train.rng import Streams
from ebmcore.train.timing import Timing

STREAM = "transform"  # the same on every rank


class Rows:
    """The rows of a batch, as the energy takes them.

    Transforms that draw map the batch of all ranks, with a stream that is the same on each, so that
    two ranks draw what one does; then each takes its share. Of stored rows a rank reads its own
    share alone, which then stands for those of the others.

    Args:
        data: The training data.
        streams: The source of the transforms' stream.
        ranks: Each takes an equal share.
        timing: Where the seconds of waiting for stored rows are added.
    """

    def __init__(
        self, data: Data, streams: Streams, ranks: Ranks, timing: Timing | None = None
    ) -> None:
        self.data = data
        self.streams = streams
        self.ranks = ranks
        self.timing = timing or Timing()
        self.draws = data.rows is not None  # then `index` holds the batch of all ranks

    def read_ahead(
        self, indices: Iterator[Tensor], step: int
    ) -> Iterator[Tensor] | Iterator[ReadRows]:
        """Iterate over the batches that follow after `step` steps: indices of rows, or the rows."""
        if self.data.stream is None:
            return indices
        return self._stored(self.data.stream, indices, step)

    def _stored(self, stream: Stream, indices: Iterator[Tensor], step: int) -> Iterator[ReadRows]:
        batches = stream.batches(indices, step, pinned=self.data.x.device.type == "cuda")
        while True:
            with self.timing("data"):
                try:
                    rows = next(batches, None)
                except DataError as error:
                    raise DataError(f"step {step + 1}: {error}") from error
            if rows is None:
                return
            yield rows
            step += 1

    def __call__(self, batch: Tensor | ReadRows, step: int) -> tuple[Tensor, Conditions]:
        """Return this rank's x and conditions of a batch; `step` counts the steps before."""
        if isinstance(batch, ReadRows):
            return self._events(batch, step)
        if self.data.rows is None or self.data.transforms is None:
            return self.data.x[batch], self.data.conditions.rows(batch)
        with blame("data.transform", step):
            drawn = self.data.transforms.draw(self.data.rows[batch], self.streams(STREAM))
        own = drawn.chunk(self.ranks.size)[self.ranks.rank]
        return own, self.data.conditions.rows(batch.chunk(self.ranks.size)[self.ranks.rank])

    def _events(self, rows: ReadRows, step: int) -> tuple[Tensor, Conditions]:
        assert self.data.stream is not None
        device, transforms = self.data.x.device, self.data.transforms
        moved = rows.each(lambda part: part.to(device, non_blocking=True))
        x = self.data.stream.read.events(moved)
        if transforms is not None:
            x = self._mapped(x, transforms, step, moved.mask)
        return x, Conditions(moved.y, moved.mask)

    def _mapped(self, x: Tensor, transforms: Transforms, step: int, mask: Tensor | None) -> Tensor:
        ranks, on_cpu = self.ranks, x.device.type == "cpu"
        with blame("data.transform", step):
            try:  # looking for NaN would wait for an accelerator
                x = transforms.before_draws(x, check=on_cpu, mask=mask)
            except TransformError as error:
                name = transforms.names[error.index]
                raise DataError(
                    f"step {step + 1}: transform {name} {error} of its batch"
                ) from error
            if not transforms.draws:
                return transforms.draw(x, None)
            others = x.repeat(ranks.size, *(1 for _ in x.shape[1:]))
            return transforms.draw(others, self.streams(STREAM)).chunk(ranks.size)[ranks.rank]

    def close(self) -> None:
        """End the processes that read ahead, if there are any."""
        if self.data.stream is not None:
            self.data.stream.close()
