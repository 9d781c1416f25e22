"""`ebmcore resume`: go on with a run that was killed or failed."""

from __future__ import annotations

from typing import Annotated

import typer

from ebmcore.cli.output import Answer, AsJson, PluginOptions, answering
from ebmcore.cli.run import Versions, show_run


@answering
def command(
    run_dir: Annotated[str, typer.Argument(metavar="RUN_DIR", help="The directory of a run.")],
    plugins: PluginOptions = None,
    versions: Annotated[
        Versions, typer.Option(help="When the run's versions differ from today's.")
    ] = Versions.WARN,
    as_json: AsJson = False,
) -> Answer:
    """Go on from the last whole checkpoint, as if the run had never been stopped.

    A run that has finished is only shown. Exit codes are those of `ebmcore run`.
    """
    from ebmcore.runner.interrupts import save_only_while_training

    with save_only_while_training():
        from ebmcore.runner import resume

        done = resume(run_dir, plugins=plugins or (), versions=versions.value)
    return Answer(done.summary(), lambda: show_run(done))
