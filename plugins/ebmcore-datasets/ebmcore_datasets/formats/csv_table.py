"""A table of numbers in a .csv file."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from torch import Tensor

from ebmcore import DataError, refuse_lost_digits


def read_csv(
    path: Path, *, header: bool | None, delimiter: str, dtype: torch.dtype
) -> tuple[Tensor, list[int]]:
    """Return the table (rows, columns), and each row's line in the file, counted from 1.

    It is int64 when every cell is written as a whole number, and otherwise float64.
    Blank lines are skipped. Raises DataError at the first row of another length, the first cell
    that is not a number, a column of whole numbers that the dtype can't hold, or in a file without
    rows.
    """
    rows: list[list[float]] = []
    lines: list[int] = []
    texts: list[list[str]] = []
    columns, first_line = 0, 0  # of the header, or else of the first row
    for line, cells in _filled(path, delimiter):
        if not columns:
            columns, first_line = len(cells), line
            if header or (header is None and not any(map(_is_number, cells))):
                continue
        if len(cells) != columns:
            raise DataError(
                f"{path}: line {line} has {len(cells)} columns, but line {first_line} has {columns}"
            )
        rows.append(_numbers(cells, line, path))
        lines.append(line)
        texts.append(cells)
    if not rows:
        raise DataError(f"{path} has no rows" + (" below its header" if columns else ""))
    table = torch.tensor(rows, dtype=torch.float64)
    most = 2 / torch.finfo(dtype).eps  # the dtype holds every whole number up to this one
    largest = torch.maximum(table.amax(0), -table.amin(0))
    for column in (largest > most).nonzero().flatten().tolist():
        _refuse_lost_digits([row[column] for row in texts], column, lines, path, dtype)
    if all(_is_whole(cell) for cells in texts for cell in cells):
        table = torch.tensor([[int(cell) for cell in cells] for cells in texts])
    return table, lines


def _refuse_lost_digits(
    cells: list[str], column: int, lines: list[int], path: Path, dtype: torch.dtype
) -> None:
    """Raise DataError when the dtype can't hold a column's whole numbers, compared as integers."""
    if not all(map(_is_whole, cells)):
        return

    def location(index: tuple[int, ...]) -> str:
        return f"{path}: line {lines[index[0]]}, column {column + 1} (counted from 1)"

    whole = [int(cell) for cell in cells]
    beyond = next((row for row, n in enumerate(whole) if not -(2**63) <= n < 2**63), None)
    if beyond is not None:
        raise DataError(
            f"{location((beyond,))} is {whole[beyond]}, a whole number of more than 64 bits; "
            "subtract an offset or divide the column first"
        )
    refuse_lost_digits(torch.tensor(whole), dtype, location)


def _filled(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            return [
                (reader.line_num, cells)
                for cells in reader
                if len(cells) > 1 or any(cell.strip() for cell in cells)
            ]
        except csv.Error as error:
            raise DataError(f"{path}: line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text: {error.reason}") from error


def _numbers(cells: list[str], line: int, path: Path) -> list[float]:
    try:
        return [_number(cell) for cell in cells]
    except ValueError:
        column = next(i for i, cell in enumerate(cells) if not _is_number(cell))
        found = repr(cells[column].strip()) if cells[column].strip() else "an empty cell"
        raise DataError(
            f"{path}: line {line}, column {column + 1} (counted from 1) should be a number; "
            f"got {found}"
        ) from None


def _number(cell: str) -> float:
    if "_" in cell:  # Python reads 1_000 as a number; other software doesn't write it
        raise ValueError(cell)
    return float(cell)


def _is_whole(cell: str) -> bool:
    try:
        int(cell)
    except ValueError:
        return False
    return True


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True
