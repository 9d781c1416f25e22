"""How commands answer: results on standard output, all else on standard error; and exit codes."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, NoReturn, ParamSpec

import typer

from ebmcore import terminal
from ebmcore.completion import completers
from ebmcore.distributed.rank import speaks
from ebmcore.errors import ConfigError, EbmError, RankError, RunError, RunInterrupted, raised_at
from ebmcore.masking import mask
from ebmcore.terminal import out, say, table

__all__ = ["Answer", "AsJson", "answering", "document", "out", "say", "show_times", "table"]

P = ParamSpec("P")

WRONG_INPUT = 2
RUN_FAILED = 1
INTERRUPTED = 128  # and the signal's number
ANSWER_LOST = 74  # EX_IOERR of sysexits.h: all is well but standard output

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Checkpoints = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        help="last, best (of train.keep_best), or a step.",
        autocompletion=completers.checkpoints,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Build all on the meta device and take one step.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Such as train.epochs=5; values are YAML.",
        autocompletion=completers.overrides,
    ),
]
PluginOptions = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--plugin",
        metavar="PLUGIN",
        help="A plugin that must load, no:NAME to leave one out, a local file.py, or module:NAME.",
        show_default=False,
    ),
]
RunsDir = Annotated[
    str | None,
    typer.Option(help="The folder of the runs; else EBMCORE_RUNS_DIR, else ./runs."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict-plugins", help="Refuse to go on when any plugin failed to load."),
]


class Versions(StrEnum):
    """The answer to versions that differ from those of the repeated run: warn, refuse, ignore."""

    WARN = "warn"
    REFUSE = "refuse"
    IGNORE = "ignore"


OtherVersions = Annotated[
    Versions, typer.Option(help="When CONFIG is a run's and its versions differ from today's.")
]


class Answer(NamedTuple):
    """The result of a command, for a program and for a person."""

    document: Any
    show: Callable[[], None]
    code: int = 0  # what the command exits with
    stays: bool = False  # whether it is on the disk too, so that losing the table loses nothing


def document(value: Any) -> None:
    """Print a JSON document; what isn't a finite number is written as text."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    escape = not encoding.startswith("utf")  # what the stream can't hold stays readable as JSON
    terminal.document(json.dumps(_plain(value), indent=2, ensure_ascii=escape, default=str))


def answering(command: Callable[P, Answer | None]) -> Callable[P, None]:
    """Print a command's answer; turn what ebmcore refuses into one message and an exit code.

    A command that prints by itself returns None.
    """

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        with ending(as_json), output_aside() if as_json else contextlib.nullcontext():
            answer = command(*args, **kwargs)
        if answer is None:
            answer = Answer(None, lambda: None)
        elif speaks():
            if as_json:
                document(answer.document)
            else:
                answer.show()
        code = answer.code
        if as_json or not answer.stays:
            code = code or lost_code()
        if code:
            raise typer.Exit(code)

    return call


@contextlib.contextmanager
def ending(as_json: bool) -> Iterator[None]:
    """End the command line with one message and an exit code on what ebmcore refuses."""
    try:
        yield
    except RunInterrupted as error:
        from ebmcore.cli.shell.command_line import resume_command

        command = resume_command(error.run.dir)
        found = {**error.run.summary(), "resume": command or None}
        more = command and f"resume it: {command}"
        _end(error, as_json, found, INTERRUPTED + error.signal_number, more)
    except RunError as error:
        _end(error, as_json, {**error.run.summary(), "error": str(error)}, RUN_FAILED)
    except EbmError as error:
        problems = error.problems if isinstance(error, ConfigError) else ()
        found = {"error": str(error), "problems": [p._asdict() for p in problems]}
        _end(error, as_json, found, WRONG_INPUT)
    except OSError as error:  # a path that is too long, a folder that may not be read
        text = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
        _end(EbmError(text), as_json, {"error": text}, WRONG_INPUT)
    except MemoryError as error:
        text = f"there is not enough memory ({raised_at(error)})"
        _end(EbmError(text), as_json, {"error": text}, RUN_FAILED)
    except SystemExit as error:  # ours are typer's, so this one is a plugin's or a library's
        text = f"the command was ended by SystemExit: {error} ({raised_at(error)})"
        _end(EbmError(text), as_json, {"error": text}, RUN_FAILED)
    except KeyboardInterrupt as error:
        _end(error, as_json, {"error": "interrupted"}, INTERRUPTED + signal.SIGINT)


def lost_code() -> int:
    """Return the exit code of an answer that is nowhere but on standard output, and say why.

    It is 0 when all of it was written. A reader that closed the pipe gets no message.
    """
    lost = terminal.lost()
    if lost is None:
        return 0
    if lost.errno != errno.EPIPE:
        say(f"the answer can't be written to standard output: {lost.strerror}")
    return ANSWER_LOST


@contextlib.contextmanager
def output_aside() -> Iterator[None]:
    """Send to standard error what plugins and libraries print, so that it is beside no document.

    That holds for Python's stream, and for what writes to the file descriptor itself.
    """
    with contextlib.ExitStack() as stack:
        try:
            sys.stdout.flush()
            own, other = sys.stdout.fileno(), sys.stderr.fileno()
            kept = os.dup(own)
        except (OSError, ValueError, AttributeError):  # a stream in memory, or none
            pass
        else:
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, own)
            stack.callback(sys.stdout.flush)  # what was kept back of the time between
            os.dup2(other, own)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _end(
    error: BaseException, as_json: bool, found: dict[str, Any], code: int, more: str = ""
) -> NoReturn:
    if speaks() or isinstance(error.__cause__ or error, RankError):
        say("\n".join(filter(None, (str(error) or "interrupted", more))))
    if as_json and speaks():
        document(found)
    raise typer.Exit(code)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {mask(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return mask(value)
    return value


def show_times(seconds: Mapping[str, float]) -> None:
    """Print where a run's time went, if it is known."""
    whole = sum(seconds.values()) or 1.0
    rows = [(part, f"{spent:.2f}", f"{spent / whole:.0%}") for part, spent in seconds.items()]
    if rows:
        table(("where the time went", "seconds", "share"), rows)
