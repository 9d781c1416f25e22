"""`ebmcore resume`: go on with a run that was killed or failed."""

from __future__ import annotations

from typing import Annotated

import typer

from ebmcore.cli.groups import Launchers, Workers, hand_over, refuse_without_seeds
from ebmcore.cli.output import Answer, AsJson, PluginOptions, Versions, answering
from ebmcore.cli.run import show_run
from ebmcore.cli.runs.run_dir import RunDir, named_run


@answering
def command(
    run_dir: RunDir,
    plugins: PluginOptions = None,
    versions: Annotated[
        Versions, typer.Option(help="When the run's versions differ from today's.")
    ] = Versions.WARN,
    workers: Workers = None,
    launcher: Launchers = None,
    as_json: AsJson = False,
) -> Answer:
    """Resume a run from its last whole checkpoint.

    It ends as if it had never been stopped.
    A run that has finished is only shown. The parent of `run --seeds` goes on with its children
    that have not finished. Exit codes are those of `ebmcore run`.
    """
    from ebmcore.runs.parent_child import is_parent
    from ebmcore.runs.status import read_account

    folder = named_run(run_dir, to_resume=True)
    if is_parent(read_account(folder).facts):
        return hand_over(
            "seeds",
            resume=str(folder),
            plugins=plugins,
            workers=workers,
            launcher=launcher,
            versions=versions,
        )
    refuse_without_seeds(workers=workers, launcher=launcher)
    from ebmcore.train.signals import save_only_while_training

    with save_only_while_training():
        from ebmcore.runner.api import resume

        done = resume(folder, plugins=plugins or (), versions=versions.value)
    return Answer(done.summary(), lambda: show_run(done), stays=True)
