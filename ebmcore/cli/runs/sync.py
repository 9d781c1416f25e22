"""`ebmcore runs sync`: bring MLflow up to what the run directories hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ebmcore.cli.output import RUN_FAILED, Answer, AsJson, RunsDir, answering, out, say
from ebmcore.cli.runs.list import run_dirs
from ebmcore.errors import EbmError
from ebmcore.terminal import one_line

if TYPE_CHECKING:
    from ebmcore.trackers.mlflow.sync import Synced


@answering
def command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN_DIR]...", help="Run directories; all of the folder if none."),
    ] = None,
    runs_dir: RunsDir = None,
    uri: Annotated[
        str | None, typer.Option(help="The MLflow to send to; by default the run's own.")
    ] = None,
    as_json: AsJson = False,
) -> Answer:
    """Send the missing parts of runs to MLflow.

    Runs whose process is gone become KILLED.

    A run that is still going on is left alone; exit code 1 when something could not be sent.
    """
    from ebmcore.trackers.mlflow.sync import Synced, sync

    found: list[Synced] = []
    silent: set[str] = set()
    for path in _parents_first(paths or run_dirs(runs_dir)):
        try:
            synced = sync(path, uri=uri, again=bool(paths), silent=silent)
        except EbmError as error:
            if paths:
                raise
            synced = Synced(Path(path), "skipped", str(error))
        found.append(synced)
        if synced.uri is not None and not synced.answered:
            silent.add(synced.uri)
        if not as_json:
            _tell(synced)
    code = RUN_FAILED if any(synced.outcome == "behind" for synced in found) else 0
    return Answer([synced.document() for synced in found], lambda: _sum_up(found), code, stays=True)


def _parents_first(paths: Sequence[str | Path]) -> list[str | Path]:
    """Put parents before all children, which name them to MLflow."""
    return sorted(paths, key=lambda path: not (Path(path) / "children").is_dir())


def _tell(synced: Synced) -> None:
    """Tell of a run as soon as it is done, since the next may take long."""
    if synced.outcome != "already there":
        note = f": {one_line(synced.note)}" if synced.note else ""
        say(f"{one_line(str(synced.path))}: {synced.outcome}{note}")


def _sum_up(found: list[Synced]) -> None:
    counts = {word: sum(s.outcome == word for s in found) for word in ("sent", "already there")}
    counts |= {word: sum(s.outcome == word for s in found) for word in ("skipped", "behind")}
    out(", ".join(f"{n} {word}" for word, n in counts.items() if n) or "no runs")
