"""The fingerprint of a run's rows, as they were read: how many, of which kind, and their hash.

The hash is SHA-256 of the events in the run's own types, row by row, and of the mask, so that it is
the same whichever file format or reader gave them. Rows that a loader streams are not all read; the
hash is then that of the selection that monitors see, which the run's seed draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebmcore.errors import DataError

_MOST_ROWS = 2**33  # of a record that is believed
_ALL, _SELECTION = "rows", "selection"


class Fingerprint(NamedTuple):
    """The identity of the rows of a run."""

    rows: int
    event_shape: tuple[int, ...]
    dtype: str  # that events have in the run
    columns: tuple[str, ...] | None  # before transforms
    hash: str
    labels: str  # the hash of the labels; empty when there are none
    hash_of: str  # `rows`, or `selection`
    held_out: Tensor  # (rows,), bool: those that were set aside

    def written(self) -> dict[str, Any]:
        """Return it as JSON types, without the held-out rows, which `bits` has."""
        fields = {**self._asdict(), "event_shape": list(self.event_shape)}
        fields["columns"] = None if self.columns is None else list(self.columns)
        return {**fields, "held_out": int(self.held_out.sum())}

    def bits(self) -> bytes:
        """Return the held-out rows, one bit for each row, the first row in the highest bit."""
        return np.packbits(self.held_out.numpy()).tobytes()

    @classmethod
    def read(cls, written: Mapping[str, Any], bits: bytes) -> Fingerprint:
        """Read it again. Raises ValueError, KeyError or TypeError when it isn't as it was written.

        `bits` may be empty when no row was held out.
        """
        rows, columns = int(written["rows"]), written["columns"]
        if not 0 < rows <= _MOST_ROWS:
            raise ValueError(f"a number of rows from 1 to {_MOST_ROWS:,} was expected; got {rows}")
        held_out = np.zeros(rows, dtype=bool)
        if written["held_out"]:
            held_out = np.unpackbits(np.frombuffer(bits, np.uint8), count=rows).astype(bool)
        if int(held_out.sum()) != written["held_out"] or len(bits) > (rows + 7) // 8:
            raise ValueError("the held-out rows aren't those that were recorded")
        return cls(
            rows=rows,
            event_shape=tuple(map(int, written["event_shape"])),
            dtype=str(written["dtype"]),
            columns=None if columns is None else tuple(map(str, columns)),
            hash=str(written["hash"]),
            labels=str(written["labels"]),
            hash_of=str(written["hash_of"]),
            held_out=torch.from_numpy(held_out),
        )

    def changes(self, then: Fingerprint) -> list[str]:
        """List how the rows differ from those that a run recorded; empty when they don't."""
        found = []
        if self.rows != then.rows:
            found.append(f"{self.rows:,} rows, and it had {then.rows:,}")
        if self.event_shape != then.event_shape:
            found.append(f"events of shape {list(self.event_shape)}, not {list(then.event_shape)}")
        if then.columns is not None and self.columns != then.columns:
            found.append(_other_columns(self.columns or (), then.columns))
        if bool(self.labels) != bool(then.labels):
            found.append("labels, and it had none" if self.labels else "no labels, and it had some")
        if found:
            return found
        if (self.hash, self.hash_of) != (then.hash, then.hash_of):
            found.append("other numbers or another order of rows")
        if self.labels != then.labels:
            found.append("other labels")
        if not torch.equal(self.held_out, then.held_out):
            found.append("other rows are held out")
        return found


def _other_columns(now: tuple[str, ...], then: tuple[str, ...]) -> str:
    gone = [repr(name) for name in then if name not in now]
    new = [repr(name) for name in now if name not in then]
    if not gone and not new:
        return "the same columns in another order"
    found = [
        f"{word} {', '.join(names[:5])}" for word, names in (("no", gone), ("new", new)) if names
    ]
    return f"other columns ({'; '.join(found)})"


class RowHash:
    """Hashes rows as they are read."""

    def __init__(self) -> None:
        self._x, self._y, self._mask = (hashlib.sha256() for _ in range(3))
        self._labelled = False

    def add(self, x: Tensor | None, y: Tensor | None = None, mask: Tensor | None = None) -> None:
        """Add some rows, (n, *event), and labels and masks of these or of others, in order."""
        if y is not None:
            self._labelled = True
            y = y.double() if y.is_floating_point() else y.long()
        for part, own in ((x, self._x), (y, self._y), (mask, self._mask)):
            if part is not None:
                own.update(memoryview(_bytes(part)))

    def fingerprint(
        self,
        event_shape: tuple[int, ...],
        dtype: torch.dtype,
        columns: tuple[str, ...] | None,
        *,
        held_out: Tensor,
        of_selection: bool = False,
    ) -> Fingerprint:
        """Return the fingerprint of the rows that were added."""
        both = hashlib.sha256(self._x.digest() + self._mask.digest())
        return Fingerprint(
            rows=len(held_out),
            event_shape=event_shape,
            dtype=str(dtype).removeprefix("torch."),
            columns=columns,
            hash=both.hexdigest(),
            labels=self._y.hexdigest() if self._labelled else "",
            hash_of=_SELECTION if of_selection else _ALL,
            held_out=held_out,
        )


def _bytes(part: Tensor) -> Any:
    """Return the bytes of a tensor in the order of its numbers, as an array."""
    flat = part.detach().cpu().contiguous().reshape(-1)
    flat = flat.as_strided((len(flat),), (1,))  # that of one number may be any
    return flat.view(torch.uint8).numpy()


def held_out_again(
    now: Fingerprint, then: Fingerprint | None, appended: int, *, stored: bool
) -> tuple[str, ...]:
    """Return warnings of how the data changed since a run recorded which rows it held out, if any.

    Raises DataError when these rows can't be told from others any more: rows are missing, or those
    of a file are others. Rows that a dataset computes may differ in their last digits from machine
    to machine, so that of those there is only a warning.
    """
    if then is None:
        return ()
    found = now.changes(then)
    if found and (stored or now.rows != then.rows or now.event_shape != then.event_shape):
        raise DataError(
            f"the data aren't those of the run any more: {'; '.join(found)}. So the rows that it "
            "held out can't be found; put the data back as they were, or train another run on these"
        )
    warnings = [f"the data aren't those of the run any more: {'; '.join(found)}"] if found else []
    if appended:
        warnings.append(
            f"{appended:,} rows were appended to the data since the run began; they are left out, "
            "and the held-out rows are those that it held out"
        )
    return tuple(warnings)
