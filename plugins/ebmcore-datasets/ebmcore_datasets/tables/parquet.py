"""A table in a .parquet file, or in one packed by gzip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ebmcore import DataError

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

_AT_ONCE = 2**20  # cells


class ParquetTable:
    """Columns with names and types.

    Attributes:
        names: The columns' names.
        width: The number of columns.

    Args:
        path: For messages.
        stream: The file's bytes.

    Raises DataError when the file is damaged, or two columns have one name.
    """

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet  # type: ignore[import-untyped]

        self.path = path
        try:
            self._file = pyarrow.parquet.ParquetFile(stream, pre_buffer=False)
            self.names: tuple[str, ...] | None = tuple(self._file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error
        self.width = len(self._file.schema_arrow.names)
        if not self.width:
            raise DataError(f"{path} has no columns")

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[pa.Array]]:
        """Read the columns of these numbers, a block of rows at a time. Raises DataError."""
        import pyarrow as pa

        names = [self._file.schema_arrow.names[column] for column in wanted]
        rows = max(1, _AT_ONCE // self.width)
        try:
            for batch in self._file.iter_batches(rows, columns=names, use_threads=False):
                yield [batch.column(name) for name in names]
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error

    def place(self, row: int, column: int) -> str:
        """Say where a cell is."""
        return f"row {row}, column {self._file.schema_arrow.names[column]!r} (counted from 0)"

    def cell(self, row: int, column: int) -> str:
        """Return a cell as text."""
        for (array,) in self.blocks([column]):
            if row < len(array):
                value = array[row].as_py()
                return "null" if value is None else str(value)
            row -= len(array)
        return ""

    def _damaged(self, error: Exception) -> DataError:
        return DataError(
            f"{self.path} is damaged, or no .parquet file: {str(error).splitlines()[0]}"
        )
