"""A table in a .csv or .tsv file, or in one of these packed by gzip."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ebmcore import DataError
from ebmcore_datasets.tables.cells import is_number

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

_BLOCK = 2**23  # bytes of a file that are read at once; a line is shorter
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


class TextTable:
    """Lines of cells; its first line may be a header. Blank lines are skipped.

    Attributes:
        names: The columns' names, empty where the header has none; None without a header.
        width: The number of columns.

    Raises DataError when the file has no lines, is no UTF-8 text, or two columns have one name.
    """

    def __init__(self, path: Path, *, delimiter: str, header: bool | None) -> None:
        self.path = path
        self.delimiter = delimiter
        line, first = next(self._records(), (0, []))
        if not first:
            raise DataError(f"{path} has no rows")
        if header is None:
            header = not any(map(is_number, first))
        self.width = len(first)
        self.first_line = line
        self.names = tuple(cell.strip() for cell in first) if header else None

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[pa.Array]]:
        """Read the columns of these numbers as text, a block of rows at a time.

        Raises DataError at the first line of another length or that can't be read.
        """
        import pyarrow as pa
        import pyarrow.csv  # type: ignore[import-untyped]

        own = [f"f{column}" for column in wanted]
        options = (
            pyarrow.csv.ReadOptions(
                use_threads=False, block_size=_BLOCK, autogenerate_column_names=True
            ),
            pyarrow.csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=_blank
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(own, pa.string()), include_columns=own
            ),
        )
        begin = int(self.names is not None)
        with self._blamed(), self._bytes() as stream:
            try:
                for batch in pyarrow.csv.open_csv(stream, *options):
                    rows = batch.slice(begin)
                    begin = 0
                    yield rows.columns
            except pa.ArrowInvalid as error:
                self._refuse(error)

    def place(self, row: int, column: int) -> str:
        """Say where a cell is: its line, its column, and the row."""
        line, _ = self._record(row)
        name = f" {self.names[column]!r}" if self.names and self.names[column] else ""
        return f"line {line}, column {column + 1}{name} (counted from 1; row {row} from 0)"

    def cell(self, row: int, column: int) -> str:
        """Return a cell as it is written."""
        return self._record(row)[1][column].strip()

    def _record(self, row: int) -> tuple[int, list[str]]:
        begin = row + int(self.names is not None)
        return next(itertools.islice(self._records(), begin, None))

    def _refuse(self, error: Exception) -> None:
        """Say at which line the table can't be read."""
        for line, cells in self._records():
            if len(cells) != self.width:
                raise DataError(
                    f"{self.path}: line {line} has {len(cells)} columns, but line "
                    f"{self.first_line} has {self.width}"
                ) from error
        raise DataError(f"{self.path} can't be read: {str(error).splitlines()[0]}") from error

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Read each line that isn't blank, and its number, counted from 1; the slow way."""
        with self._blamed(), self._bytes() as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            reader = csv.reader(text, delimiter=self.delimiter, strict=True)
            try:
                for cells in reader:
                    if len(cells) > 1 or any(cell.strip() for cell in cells):
                        yield reader.line_num, cells
            except csv.Error as error:
                raise DataError(f"{self.path}: line {reader.line_num}: {error}") from error
            except UnicodeDecodeError as error:
                raise self._not_utf8() from error

    def _not_utf8(self) -> DataError:
        why = f"{self.path} is not UTF-8 text"
        with self._bytes() as stream:
            for number, line in enumerate(stream, 1):
                if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                    return DataError(f"{why}, but UTF-16: save it as UTF-8")
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    byte = error.object[error.start]
                    return DataError(f"{why}: line {number} holds the byte 0x{byte:02x}")
        return DataError(why)

    def _bytes(self) -> IO[bytes]:
        if self.path.suffix.lower() == ".gz":
            return gzip.open(self.path)  # type: ignore[return-value]
        return self.path.open("rb")

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            raise DataError(f"{self.path} is damaged: {error}") from error


def _blank(row: Any) -> str:
    return "error" if row.text.strip() else "skip"
