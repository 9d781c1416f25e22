"""`ebmcore`: the commands, put together."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from ebmcore.cli import (
    check,
    components,
    doctor,
    evaluate,
    new,
    plugins,
    resume,
    run,
    runs,
    runs_list,
    runs_show,
    runs_sync,
    sample,
    schema,
    show,
    sweep,
)

app = typer.Typer(
    name="ebmcore",
    help="Train energy-based models out of plugins, from one config, tracked in MLflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
plugin_commands = typer.Typer(help="The installed plugins.", no_args_is_help=True)
run_commands = typer.Typer(help="The run directories.", no_args_is_help=True)


def _version(wanted: bool) -> None:
    if wanted:
        import ebmcore

        typer.echo(f"ebmcore {ebmcore.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Train energy-based models out of plugins, from one config, tracked in MLflow."""


app.command("run")(run.command)
app.command("sweep")(sweep.command)
app.command("resume")(resume.command)
app.command("sample")(sample.command)
app.command("evaluate")(evaluate.command)
app.command("components")(components.command)
app.command("show")(show.command)
app.command("schema")(schema.command)
app.command("check")(check.command)
plugin_commands.command("list")(plugins.list_command)
plugin_commands.command("new")(new.command)
plugin_commands.command("doctor")(doctor.command)
app.add_typer(plugin_commands, name="plugins")
run_commands.command("list")(runs_list.command)
run_commands.command("show")(runs_show.command)
run_commands.command("sync")(runs_sync.command)
run_commands.command("diff")(runs.diff_command)
app.add_typer(run_commands, name="runs")


def main() -> None:
    """Run the command line; a letter that a stream can't hold is written as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
