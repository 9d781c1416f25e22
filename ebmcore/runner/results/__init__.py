"""A run's results in Python: the rows it trained on, its metrics and its pictures, its HTML."""

from ebmcore.runner.results.history import figures_of, history_of
from ebmcore.runner.results.html import run_html
from ebmcore.runner.results.rows import Rows, RowsReader, reader_of_objects

__all__ = [
    "Rows",
    "RowsReader",
    "figures_of",
    "history_of",
    "reader_of_objects",
    "run_html",
]
