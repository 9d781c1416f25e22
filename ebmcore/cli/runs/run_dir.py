"""The argument RUN_DIR of commands: a path, `last`, or a run in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ebmcore.completion import completers
from ebmcore.terminal import one_line, say

RunDir = Annotated[
    str,
    typer.Argument(
        metavar="RUN_DIR",
        help="A run's directory, or `last`: the newest run's; or runs:/ID, models:/NAME/3.",
        autocompletion=completers.runs,
    ),
]


def named_run(text: str, *, to_resume: bool = False) -> Path:
    """Return the run directory that a user means; tell which one it is if it's given otherwise.

    Raises EbmError when there is none.
    """
    from ebmcore.runner.named_run import LAST, run_directory
    from ebmcore.trackers.mlflow.model.names import is_mlflow_uri

    path = run_directory(text, to_resume=to_resume)
    if text == LAST or is_mlflow_uri(text):
        say(f"{one_line(text)}: {one_line(str(path))}")
    return path
