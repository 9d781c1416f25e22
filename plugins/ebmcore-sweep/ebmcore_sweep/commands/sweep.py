"""`ebmcore sweep`: many trials of a config, to find its best values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ebmcore import EbmError
from ebmcore.cli import (
    INTERRUPTED,
    RUN_FAILED,
    Answer,
    AsJson,
    PluginOptions,
    RunsDir,
    Strict,
    out,
    same_command,
    say,
    table,
)

if TYPE_CHECKING:
    from ebmcore_sweep.search.api import Swept


def command(
    file: Annotated[
        str | None, typer.Argument(metavar="[SWEEP]", help="A YAML file: base, space, objective.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes at once; else the file's `workers`.")
    ] = None,
    launcher: Annotated[
        str | None, typer.Option(help="What starts them: local, or one that a plugin offers.")
    ] = None,
    join: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Help the sweep in this Optuna storage, in place of SWEEP; a masked password is "
            "that of EBMCORE_SWEEP_STORAGE.",
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="With --join: which sweep, where there are several.")
    ] = None,
    worker: Annotated[str | None, typer.Option(hidden=True)] = None,
    plugins: PluginOptions = None,
    runs_dir: RunsDir = None,
    strict: Strict = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check the file and the storage; start nothing."),
    ] = False,
    as_json: AsJson = False,
) -> Answer:
    """Search for good values of a config within a budget.

    Run the same command again to go on with a sweep that was stopped.

    Exit codes: 0 done, 1 no trial has a value, 2 wrong input, 130/143 interrupted.
    """
    if (file is None) == (join is None):
        raise EbmError("give either a sweep's file or --join URL")
    from ebmcore_sweep.search.api import check_storage, check_sweep, join_sweep, run_sweep

    given = tuple(plugins or ())
    if join is not None:
        done = join_sweep(join, given, study=study, worker=worker, runs_dir=runs_dir, say=say)
        return Answer({"trials": done}, lambda: out(f"{done} trials were done here"), stays=True)
    assert file is not None
    checked = check_sweep(file, given, launcher=launcher, strict_plugins=strict)
    if dry_run:
        keys, url = list(checked.sweep.space.ranges), check_storage(checked, runs_dir)
        found = {"status": "FITS", "name": checked.sweep.name, "space": keys, "storage": url}
        text = f"the sweep is good; it varies {', '.join(keys)}; its storage {url} can be used"
        return Answer(found, lambda: out(text))
    swept = run_sweep(checked, given, workers=workers, runs_dir=runs_dir, say=say)
    code = 0 if swept.status == "FINISHED" else RUN_FAILED
    if swept.signal is not None:
        code = INTERRUPTED + swept.signal
        say(f"go on with it: {same_command()}")
    return Answer(swept.document(), lambda: _show(swept), code, stays=True)


def _show(swept: Swept) -> None:
    table(*swept.table())
    out("\n".join(swept.lines()))
