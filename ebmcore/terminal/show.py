"""The only place that prints: it cleans and masks text, and no broken stream fails a command."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from ebmcore.masking import mask
from ebmcore.terminal.clean import clean, clean_json, one_line

if TYPE_CHECKING:
    from rich.console import Console

Cell = str | Sequence[str]  # one line, or several


def out(text: str) -> None:
    """Print a result, on standard output."""
    _write(sys.stdout, clean(mask(text)))


def say(text: str) -> None:
    """Print a message to the user, on standard error."""
    _write(sys.stderr, clean(mask(text)))


def document(text: str) -> None:
    """Print a JSON document, on standard output."""
    _write(sys.stdout, clean_json(text))


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table, on standard output; a cell is one line, unless it is a list of lines."""
    from rich import box
    from rich.table import Table

    drawn = Table(*map(one_line, columns), box=box.SIMPLE_HEAD)
    for row in rows:
        drawn.add_row(*map(_cell, row))
    with suppress(OSError, ValueError):
        _console(width=None if is_terminal(sys.stdout) else 160).print(drawn)


def duration(seconds: float | None) -> str:
    """Return how long something took, as a person says it: 2.3 s, 1 min 1 s, 2 h 1 min."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours == 0:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} min"


def progress_console() -> Console:
    """Return rich's console on standard error, for our own text; only `say` cleans."""
    return _console(stderr=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is an open terminal."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):  # it was closed
        return False


def show_warnings() -> None:
    """Print Python's warnings through this module, for the life of the process."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(warnings.formatwarning(message, category, filename, lineno, line).rstrip("\n"))

    warnings.showwarning = show


def show_traceback() -> None:
    """Print the traceback of the current exception, on standard error."""
    say(traceback.format_exc().rstrip("\n"))


def _console(**options: Any) -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, **options)


def _cell(cell: Cell) -> str:
    lines = (cell,) if isinstance(cell, str) else cell
    return "\n".join(one_line(mask(line)) for line in lines)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except UnicodeEncodeError:
        plain = text.encode(stream.encoding or "ascii", "backslashreplace")
        _write(stream, plain.decode(stream.encoding or "ascii"))
    except (OSError, ValueError):  # it is full, closed, or its reader has gone
        pass
