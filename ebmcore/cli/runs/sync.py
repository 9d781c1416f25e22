"""`ebmcore runs sync`: bring the trackers up to what the run directories hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ebmcore.cli.output import (
    RUN_FAILED,
    Answer,
    AsJson,
    PluginOptions,
    RunsDir,
    answering,
    out,
    say,
)
from ebmcore.cli.runs.list import run_dirs
from ebmcore.cli.runs.run_dir import named_run
from ebmcore.completion import completers
from ebmcore.errors import EbmError
from ebmcore.terminal import one_line

if TYPE_CHECKING:
    from ebmcore.trackers.synced import Synced


@answering
def command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN_DIR]...",
            help="Run directories, or `last`; all of the folder if none.",
            autocompletion=completers.runs,
        ),
    ] = None,
    runs_dir: RunsDir = None,
    uri: Annotated[
        str | None, typer.Option(help="The MLflow to send to; by default the run's own.")
    ] = None,
    tracker: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The tracker to send to, or '{type: NAME, …}'; else the run's own."
        ),
    ] = None,
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """Send the missing parts of runs to their trackers.

    Runs whose process is gone become KILLED.

    A run that is still going on is left alone; exit code 1 when something could not be sent.
    """
    from ebmcore.trackers.sync_run import sync
    from ebmcore.trackers.synced import Synced

    named = _named(tracker)
    found: list[Synced] = []
    silent: set[str] = set()
    folders = [named_run(text) for text in paths or ()] or run_dirs(runs_dir)
    for path in _parents_first(folders):
        try:
            sent = sync(
                path, uri=uri, tracker=named, plugins=plugins or (), again=bool(paths),
                silent=silent,
            )  # fmt: skip
        except EbmError as error:
            if paths:
                raise
            sent = [Synced(path, "skipped", str(error))]
        found += sent
        for synced in sent:
            if synced.uri is not None and not synced.answered:
                silent.add(synced.uri)
            if not as_json:
                _tell(synced)
    code = RUN_FAILED if any(synced.outcome == "behind" for synced in found) else 0
    return Answer([synced.document() for synced in found], lambda: _sum_up(found), code, stays=True)


def _named(tracker: str | None) -> Any:
    """Return the tracker that the user types, as a config's `tracking` has it."""
    if tracker is None:
        return None
    from ebmcore.config import parse_config

    return parse_config(f"tracking: {tracker}", "--tracker").tree["tracking"]


def _parents_first(paths: Sequence[Path]) -> list[Path]:
    """Put parents before all children, which name them to MLflow."""
    return sorted(paths, key=lambda path: not (path / "children").is_dir())


def _tell(synced: Synced) -> None:
    """Tell of a run as soon as it is done, since the next may take long."""
    if synced.outcome != "already there":
        note = f": {one_line(synced.note)}" if synced.note else ""
        to = "" if synced.tracker == "mlflow" else f" to {one_line(synced.tracker)}"
        say(f"{one_line(str(synced.path))}: {synced.outcome}{to}{note}")


def _sum_up(found: list[Synced]) -> None:
    counts = {word: sum(s.outcome == word for s in found) for word in ("sent", "already there")}
    counts |= {word: sum(s.outcome == word for s in found) for word in ("skipped", "behind")}
    out(", ".join(f"{n} {word}" for word, n in counts.items() if n) or "no runs")
