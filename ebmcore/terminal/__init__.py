"""The terminal: clean text, tables, and streams that survive its end."""

from ebmcore.terminal.clean import clean, is_control, named, one_line
from ebmcore.terminal.show import (
    Cell,
    document,
    duration,
    is_terminal,
    out,
    progress_console,
    say,
    show_traceback,
    show_warnings,
    table,
)
from ebmcore.terminal.streams import lost, protect, protected

__all__ = [
    "Cell",
    "clean",
    "document",
    "duration",
    "is_control",
    "is_terminal",
    "lost",
    "named",
    "one_line",
    "out",
    "progress_console",
    "protect",
    "protected",
    "say",
    "show_traceback",
    "show_warnings",
    "table",
]
