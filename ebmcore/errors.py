"""The errors that ebmcore raises on purpose: one tree, each message says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ebmcore.masking import mask
from ebmcore.terminal.clean import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from ebmcore.run_contracts import RunInfo


class EbmError(Exception):
    """The root of ebmcore's errors; the command line prints `str(error)`.

    It masks passwords in URIs in its message.
    """

    def __str__(self) -> str:
        return mask(super().__str__())


class Problem(NamedTuple):
    """One mistake in a config, and its place."""

    path: str  # dotted place in the config, such as sampler.step_size
    message: str  # the mistake, and the way out
    where: str = ""  # file and line, or the override that set it

    def __str__(self) -> str:
        place = one_line(f"{self.where} {self.path}".strip())
        return f"{place}: {self.message}" if place else self.message


class ConfigError(EbmError):
    """A config that can't be run; holds all its problems, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(Problem(*map(mask, problem)) for problem in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PluginError(EbmError):
    """A plugin, or one of its components, can't be loaded."""


class DataError(EbmError):
    """Data that can't be trained on; datasets raise it and name the file and the row."""


class ComponentError(EbmError):
    """A component raised during a run; `__cause__` is its exception."""

    def __init__(self, part: str, step: int, cause: BaseException) -> None:
        self.part = part
        self.step = step
        super().__init__(f"step {step}: {part} raised {_text(cause)}")


def _text(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name


class DivergenceError(EbmError):
    """A loss, an energy or a gradient stopped being a finite number."""


class CheckpointError(EbmError):
    """A checkpoint that could not be written; the one before it is whole."""


class DirectoryError(EbmError):
    """A run's directory is gone, or holds a link, a FIFO, a device or too large a file."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self.text = text  # the fault
        super().__init__(f"{file}: {text}")


class RefusedError(EbmError):
    """A tracker will never accept what it was sent."""


class RankError(EbmError):
    """The processes that train a run together can't reach each other, or disagree."""


class GraphError(EbmError):
    """A function can't be one compiled graph, or its graph computes something else; it says why."""


class RunError(EbmError):
    """A run that ended as FAILED; `run` is its result, `__cause__` the reason."""

    def __init__(self, message: str, run: RunInfo) -> None:
        self.run = run
        super().__init__(message)


class RunInterrupted(KeyboardInterrupt):
    """A run that a signal stopped, after it wrote and closed everything.

    A KeyboardInterrupt, so that a notebook or a script stops as it would for any Ctrl-C.
    """

    def __init__(self, signal_number: int, run: RunInfo) -> None:
        self.signal_number = signal_number
        self.run = run
        super().__init__(f"interrupted by signal {signal_number}; the run is in {run.dir}")


def too_large(error: BaseException) -> bool:
    """Tell whether an error means that a number is too large for the memory or the machine."""
    if isinstance(error, MemoryError) or type(error).__name__ in _OF_MEMORY:
        return True
    text = str(error)
    return isinstance(error, (RuntimeError, TypeError, ValueError, OverflowError)) and any(
        words in text for words in _TOO_LARGE
    )


def first_line(error: BaseException) -> str:
    """Return the kind of an error and the first line of its text."""
    return _text(error).partition("\n")[0]


_OF_MEMORY = ("OutOfMemoryError", "_ArrayMemoryError")  # torch's and NumPy's own
_TOO_LARGE = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "overflowed",  # torch of a tensor's size
    "Overflow when unpacking",
    "too large to convert",
    "index-sized",
    "array is too big",
    "Maximum allowed dimension exceeded",
)


def raised_at(error: BaseException) -> str:
    """Return the place where an exception was raised: `file.py:12, in name`."""
    trace = error.__traceback__
    if trace is None:
        return "unknown place"
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{code.co_filename}:{trace.tb_lineno}, in {code.co_name}"
