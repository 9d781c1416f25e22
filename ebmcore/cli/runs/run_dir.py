"""The argument RUN_DIR of commands: a path, or `last`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ebmcore.cli.shell import completers
from ebmcore.terminal import one_line, say

RunDir = Annotated[
    str,
    typer.Argument(
        metavar="RUN_DIR",
        help="A run's directory, or `last`: the newest run's.",
        autocompletion=completers.runs,
    ),
]


def named_run(text: str) -> Path:
    """Return the run directory that a user means; tell which one `last` is.

    Raises EbmError when there is none.
    """
    from ebmcore.runner.named_run import LAST, run_directory

    path = run_directory(text)
    if text == LAST:
        say(f"last: {one_line(str(path))}")
    return path
