"""Data larger than memory: rows that batches read when they need them, and a selection of them."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset, IterableDataset

from ebmcore.config import Loader
from ebmcore.data.fingerprint import Fingerprint, RowHash, held_out_again
from ebmcore.data.load import (
    Data,
    bounds_of,
    chosen_rows,
    columns_of,
    default_dtype,
    is_stored,
    space_of,
    whole_numbers,
)
from ebmcore.data.mask import read_mapping
from ebmcore.data.parts import RowsInParts, in_parts_reader
from ebmcore.data.row_reader import ReadRows, RowReader, Stored, stored_rows
from ebmcore.data.stream import Stream
from ebmcore.data.values.precision import refuse_lost_digits
from ebmcore.data.values.unfit import in_the_data
from ebmcore.errors import DataError
from ebmcore.runs.example import Example
from ebmcore.spaces import REAL, Space

_ROWS, _NUMBERS = 10_000, 2**25  # at most, of a selection


def stream_data(
    source: Any,
    *,
    loader: Loader,
    seed: int,
    holdout: float,
    generator: Generator,
    dtype: torch.dtype,
    stratify: bool = False,
    space: Space | None = None,
    known: Fingerprint | None = None,
) -> Data:
    """Return the data of a dataset that is not read whole: x and held_out are selections.

    The dataset is a map-style torch Dataset, stored rows (`RowsInParts`) alone or with labels and a
    mask, or a callable or a `read_in_parts` that returns one of these. The generator draws the
    held-out rows as `load_data` does, and then the selections; `known` is as there. Raises
    DataError.
    """
    if stratify:
        raise DataError(
            "stratify needs the label of every row before training, and with a loader rows are "
            "read as batches need them; leave out one of the two"
        )
    rows = _source(source, dtype)
    n = len(rows)  # type: ignore[arg-type] # `_source` looked
    if not n:
        raise DataError("the dataset has no points: its length is 0")
    declared = space_of(source, space)
    space = declared or REAL
    appended = max(0, n - known.rows) if known else 0
    n -= appended
    chosen = chosen_rows(n, None, holdout, generator)
    if known is not None and n == known.rows:
        chosen = known.held_out
    every = torch.arange(n, dtype=torch.int32 if n < 2**31 else torch.int64)
    held_out, train = every[chosen], every[~chosen]
    del every
    read = RowReader(rows, seed=seed, space=space, dtype=dtype)
    stream = Stream(read, loader, train, len(held_out))
    most = loader.seen or max(1, min(_ROWS, _NUMBERS // max(1, read.first.x.numel())))
    seen, others = _selections(
        stream, _some(train, most, generator), _some(held_out, most, generator)
    )
    event_shape, hashed = tuple(seen.x.shape[1:]), RowHash()
    columns, doubts = columns_of(source, event_shape)
    for part in (seen, others):
        hashed.add(*part)
    fingerprint = hashed.fingerprint(
        event_shape, seen.x.dtype, columns, held_out=chosen, of_selection=True
    )
    return Data(
        x=seen.x,
        y=seen.y,
        mask=seen.mask,
        source=source,
        space=space,
        held_out=others.x,
        held_out_y=others.y,
        held_out_mask=others.mask,
        bounds=bounds_of(source, seen.x, dtype),
        warnings=doubts if declared else (*doubts, *whole_numbers(read.first.x.dtype)),
        stream=stream,
        columns=columns,
        fingerprint=fingerprint,
        changes=held_out_again(fingerprint, known, appended, stored=is_stored(source)),
        example=Example.first(*seen[:3]),
    )


def _source(source: Any, dtype: torch.dtype) -> Stored | Dataset[Any]:
    found = source
    if callable(found) and not isinstance(found, (Tensor, Dataset)):
        with default_dtype(dtype):
            found = in_parts_reader(found, check=False)()
    if isinstance(found, IterableDataset):
        raise DataError("an IterableDataset has no length to shuffle; give one with indices")
    if isinstance(found, Dataset):
        if not isinstance(found, Sized):
            raise DataError(f"{type(found).__name__} has no __len__, to shuffle its rows")
        return found
    points, said = read_mapping(found)
    x, y = points if isinstance(points, tuple) and len(points) == 2 else (points, None)
    if isinstance(x, RowsInParts):
        stored = stored_rows(x, y, said)
        if stored.x.dtype.is_floating_point:  # others are looked at as they are read
            refuse_lost_digits(stored.x, dtype, in_the_data)
        return stored
    raise DataError(
        f"a loader reads rows when batches need them, and this dataset gives all of them at once, "
        f"as {type(x).__name__}: leave out the loader, or give a map-style torch Dataset, or a "
        "dataset whose `read_in_parts` returns RowsInParts, such as a `file` that ends in .npy, "
        ".npz or .pt"
    )


def _some(numbers: Tensor, most: int, generator: Generator) -> Tensor:
    """Draw at most so many of the rows, in their order; all are drawn without the generator."""
    if len(numbers) <= most:
        return numbers
    drawn = torch.randperm(len(numbers), generator=generator)[:most]
    return numbers[drawn.sort().values]


def _selections(stream: Stream, seen: Tensor, others: Tensor) -> tuple[ReadRows, ReadRows]:
    """Read the rows of two selections as events of the run."""
    numbers = torch.cat([seen, others])
    parts, *more = zip(*stream.selection(numbers), strict=True)
    x, at = torch.cat(parts), len(seen)
    y, mask = (None if column[0] is None else torch.cat(column) for column in more)
    if x.is_floating_point():
        refuse_lost_digits(
            x, stream.read.dtype, lambda at: in_the_data((int(numbers[at[0]]), *at[1:]))
        )
    rows = ReadRows(stream.read.events(ReadRows(x, None, mask)), y, mask)
    return rows.each(lambda part: part[:at]), rows.each(lambda part: part[at:])
