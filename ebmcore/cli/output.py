"""How commands speak: results on standard output, all else on standard error; and exit codes."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, NoReturn, ParamSpec

import typer

from ebmcore.errors import ConfigError, EbmError, RunError, RunInterrupted

P = ParamSpec("P")

WRONG_INPUT = 2
RUN_FAILED = 1
INTERRUPTED = 128  # and the signal's number

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
PluginOptions = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--plugin",
        metavar="PLUGIN",
        help="A plugin that must load, no:NAME for one to leave out, or a local file.py.",
        show_default=False,
    ),
]


Strict = Annotated[
    bool,
    typer.Option("--strict-plugins", help="Refuse to go on when any plugin failed to load."),
]


class Answer(NamedTuple):
    """What a command found: for a program, and for a person."""

    document: Any
    show: Callable[[], None]
    code: int = 0  # what the command exits with


def document(value: Any) -> None:
    """Print a JSON document; what isn't a finite number is written as text."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str))


def say(text: str) -> None:
    """Tell the user something beside the result."""
    typer.echo(text, err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        drawn.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(width=width, highlight=False, markup=False, emoji=False).print(drawn)


def answering(command: Callable[P, Answer]) -> Callable[P, None]:
    """Print a command's answer; turn what ebmcore refuses into one message and an exit code."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        # with --json, what plugins and libraries print must not stand beside the document
        aside = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
        try:
            with aside:
                answer = command(*args, **kwargs)
        except RunInterrupted as error:
            _end(error, as_json, error.run.summary(), INTERRUPTED + error.signal_number)
        except RunError as error:
            _end(error, as_json, {**error.run.summary(), "error": str(error)}, RUN_FAILED)
        except EbmError as error:
            problems = error.problems if isinstance(error, ConfigError) else ()
            found = {"error": str(error), "problems": [p._asdict() for p in problems]}
            _end(error, as_json, found, WRONG_INPUT)
        except KeyboardInterrupt as error:
            _end(error, as_json, {"error": "interrupted"}, INTERRUPTED + signal.SIGINT)
        if as_json:
            document(answer.document)
        else:
            answer.show()
        if answer.code:
            raise typer.Exit(answer.code)

    return call


def _end(error: BaseException, as_json: bool, found: dict[str, Any], code: int) -> NoReturn:
    say(str(error) or "interrupted")
    if as_json:
        document(found)
    raise typer.Exit(code)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
