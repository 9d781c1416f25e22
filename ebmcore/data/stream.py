"""A run's training rows when they stay where they are stored, and are read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ebmcore.config import Loader
from ebmcore.data.row_reader import ReadRows, RowReader
from ebmcore.data.workers import Key, Workers

_AT_ONCE = 256  # rows of a selection


class Stream:
    """The training rows of a dataset, in its own order.

    Args:
        read: Reads rows of the dataset.
        loader: How many processes read ahead, and how far.
        rows: The numbers of the training rows in the dataset, (n,).
        n_held_out: How many other rows there are.
    """

    device = torch.device("cpu")  # where indices of its rows are

    def __init__(self, read: RowReader, loader: Loader, rows: Tensor, n_held_out: int) -> None:
        self.read = read
        self.loader = loader
        self.rows = rows
        self.n_held_out = n_held_out
        self._workers: Workers | None = None

    def __len__(self) -> int:
        """Return n."""
        return len(self.rows)

    def batches(
        self, indices: Iterator[Tensor], step: int, *, pinned: bool = False
    ) -> Iterator[ReadRows]:
        """Read the training rows of each batch, (share,), that follows after `step` steps.

        Raises DataError.
        """
        keys = (
            Key(f"step {number}", self.rows[index].numpy())
            for number, index in enumerate(indices, step)
        )
        yield from self._read(keys, pinned=pinned)

    def selection(self, numbers: Tensor) -> Iterator[ReadRows]:
        """Read rows of the dataset, (k,), some at a time. Raises DataError."""
        try:
            starts = range(0, len(numbers), _AT_ONCE)
            parts = (numbers[start : start + _AT_ONCE].numpy() for start in starts)
            yield from self._read(Key("selection", part) for part in parts)
        finally:
            self.close()

    def _read(self, keys: Iterator[Key], *, pinned: bool = False) -> Iterator[ReadRows]:
        if not self.loader.workers:
            return (self.read(torch.from_numpy(key.numbers), key.visit) for key in keys)
        if self._workers is None:
            self._workers = Workers(self.read, self.loader, pinned=pinned)
        return self._workers(keys)

    def close(self) -> None:
        """End the worker processes, if there are any."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None
