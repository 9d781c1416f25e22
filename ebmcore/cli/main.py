"""`ebmcore`: the commands, put together."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, NoReturn

import typer

from ebmcore import terminal
from ebmcore.cli import (
    evaluate,
    plugins,
    resume,
    run,
    sample,
    schema,
    score,
)
from ebmcore.cli.output import lost_code, out
from ebmcore.cli.parts import components, show
from ebmcore.cli.plugin_commands import CommandGroup
from ebmcore.cli.runs import diff as runs_diff
from ebmcore.cli.runs import list as runs_list
from ebmcore.cli.runs import show as runs_show
from ebmcore.cli.runs import sync as runs_sync
from ebmcore.version import __version__

_COMPLETE = "_EBMCORE_COMPLETE"  # set by the shell that completes a word, as typer tells it to


@contextmanager
def _clean_usage_errors() -> Iterator[None]:
    """See to it that a message of typer's, which repeats what was typed, is safe to show."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):
            text = terminal.clean(error.format_message())
            error.format_message = lambda: text
        raise


class Commands(CommandGroup):
    """All commands."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the words up to the command's name."""
        with _clean_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Read the command's own words, and run it."""
        with _clean_usage_errors():
            return super().invoke(*args, **kwargs)


app = typer.Typer(
    cls=Commands,
    name="ebmcore",
    help="Train energy-based models out of plugins, from one config, tracked in MLflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes 0.13 s to import, half of what the help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)
plugin_commands = typer.Typer(cls=CommandGroup, help="The installed plugins.", no_args_is_help=True)
run_commands = typer.Typer(cls=CommandGroup, help="The run directories.", no_args_is_help=True)


def _version(wanted: bool) -> None:
    if wanted:
        out(f"ebmcore {__version__}")
        raise typer.Exit(lost_code())


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Train energy-based models out of plugins, from one config, tracked in MLflow."""


app.command("run")(run.command)
app.command("resume")(resume.command)
app.command("sample")(sample.command)
app.command("score")(score.command)
app.command("evaluate")(evaluate.command)
app.command("components")(components.command)
app.command("show")(show.command)
app.command("schema")(schema.command)
plugin_commands.command("list")(plugins.list_command)
app.add_typer(plugin_commands, name="plugins")
run_commands.command("list")(runs_list.command)
run_commands.command("show")(runs_show.command)
run_commands.command("sync")(runs_sync.command)
run_commands.command("diff")(runs_diff.diff_command)
app.add_typer(run_commands, name="runs")


def _leave(code: Any) -> NoReturn:
    """End the process while a thread of ours is at work, such as MLflow's import after Ctrl-C.

    Python's own end would stop that thread in the middle of C++ code, which then aborts all.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def main() -> None:
    """Run the command line; no stream's trouble ends it, nor a letter that a stream can't hold."""
    if _COMPLETE in os.environ:
        sys.modules["rich"] = None  # type: ignore[assignment] # else typer imports it for helps
    terminal.protect()
    terminal.show_warnings()
    try:
        app()
    except SystemExit as end:
        if any(t.daemon and t.name.startswith("ebmcore-") for t in threading.enumerate()):
            _leave(end.code)
        raise
    except Exception:  # a mistake of ours
        terminal.show_traceback()
        sys.exit(1)
    finally:
        if "torch._inductor" in sys.modules:
            gc.freeze()  # Python's last collection goes through all that was compiled, for seconds
