"""Open a table by its file's ending."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ebmcore import DataError
from ebmcore_datasets.tables.keys import refuse_equal_names
from ebmcore_datasets.tables.parquet import ParquetTable
from ebmcore_datasets.tables.text import TextTable
from ebmcore_datasets.tables.unfit import Table

DELIMITERS = {".csv": ",", ".tsv": "\t"}
ENDINGS = (*DELIMITERS, ".parquet")
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)  # by gzip's files


@contextmanager
def opened(
    path: Path, ending: str, *, delimiter: str | None, header: bool | None
) -> Iterator[Table]:
    """Open a table. Raises DataError, OSError."""
    if ending in DELIMITERS:
        yield _named(TextTable(path, delimiter=delimiter or DELIMITERS[ending], header=header))
    elif path.suffix.lower() != ".gz":
        with path.open("rb") as stream:
            yield _named(ParquetTable(path, stream))
    else:
        with tempfile.TemporaryFile() as stream:
            unpacked(path, stream)
            yield _named(ParquetTable(path, stream))


def _named(table: Table) -> Table:
    refuse_equal_names(table.names, table.path)
    return table


def unpacked(path: Path, into: IO[bytes]) -> None:
    """Unpack a .gz file into another. Raises DataError when it is damaged."""
    try:
        with gzip.open(path) as packed:
            shutil.copyfileobj(packed, into)
    except DAMAGED as error:
        raise DataError(f"{path} is damaged: {error}") from error
    into.seek(0)
