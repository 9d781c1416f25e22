"""The requests that hooks and callbacks make of a run that trains: log a number, a file, stop."""

from __future__ import annotations

import numbers
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ebmcore.errors import DirectoryError, EbmError
from ebmcore.masking import mask
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.layout import ARTIFACTS
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.train.loop import Loop

_FIELDS = ("step", "epoch", "time")  # of a line in metrics.jsonl
_METRIC = r"\w[\w. :/-]{0,249}"  # of the forms that trackers take as they are
_FILE = r"\w[\w. +=,@-]{0,199}"  # no hidden file, and none that a shell or a browser misreads


class Requests:
    """Carries out what a run is asked for, at its present step.

    Args:
        directory: The run directory.
        loop: Its step counts; it ends when the run is stopped.
        write: Records metrics of a step.
        warn: Called with warnings.
    """

    def __init__(
        self,
        directory: RunDirectory,
        loop: Loop,
        write: Callable[[int, dict[str, float]], None],
        warn: Callable[[str], None],
    ) -> None:
        self.directory = directory
        self.loop = loop
        self.write = write
        self.warn = warn
        self._logged: dict[str, int] = {}  # metric -> the last step with a value
        self._here: set[str] = set()  # those logged by this process
        self._twice: set[str] = set()
        monitors = (entry.name for entry in loop.parts.monitors)
        self._own = ("loss/", "train/", *(f"{name}/" for name in monitors))

    def remember(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take over metrics that were recorded before a resume."""
        self._logged |= dict.fromkeys(metrics, step)

    def log_metric(self, name: str, value: Any) -> None:
        """Record a metric. Raises ValueError or TypeError, as `LiveRun` says."""
        if not isinstance(name, str) or not re.fullmatch(_METRIC, name, re.ASCII):
            raise ValueError(
                f"a metric's name should be up to 250 ASCII letters, digits, '_', '-', '.', ':', "
                f"'/' and spaces, and begin with a letter or a digit; got {name!r:.300}"
            )
        if name in (*_FIELDS, "loss") or name.startswith(self._own):
            raise ValueError(
                f"the metric {name!r} is one of the run's own: loss, step, epoch, time and those "
                f"that begin with {', '.join(self._own)}"
            )
        number = value.item() if getattr(value, "shape", None) == () else value
        if not isinstance(number, numbers.Real) or isinstance(number, bool):
            raise TypeError(f"{name}: should be a real number; got {value!r:.80}")
        step = self.loop.step
        if self._logged.get(name) == step:
            if name in self._here and name not in self._twice:
                self._twice.add(name)
                self.warn(f"{name} was logged twice at step {step}; the first value stays")
            return
        self._logged[name] = step
        self._here.add(name)
        self.write(step, {name: float(number)})

    def log_artifact(self, path: str | Path, name: str | None = None) -> Path:
        """Copy a file into the run. Raises ValueError or EbmError, as `LiveRun` says."""
        source = Path(path).absolute()
        name = source.name if name is None else name
        if not isinstance(name, str) or not re.fullmatch(_FILE, name, re.ASCII):
            raise ValueError(
                "an artifact's name should be up to 200 ASCII letters, digits and any of "
                f"'_ .+=,@-', and begin with a letter or a digit; got {name!r:.300}"
            )
        there = f"{ARTIFACTS}/{name}"
        try:
            opened = SafeFiles(source.parent).open(source.name)
            with opened as file, self.directory.files.new(there) as copy:
                shutil.copyfileobj(file, copy)
        except DirectoryError as error:
            raise EbmError(f"can't copy {source} to the run: {error}") from error
        except OSError as error:
            text = f"can't copy {source} to {there} of the run: {error.strerror or error}"
            raise EbmError(text) from error
        return self.directory.path / there

    def stop(self, reason: str) -> None:
        """End the run after its step. Raises ValueError when the reason is no text."""
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(f"a run stops for a reason, a text that it records; got {reason!r}")
        self.loop.interrupts.stop(mask(" ".join(reason.split())))
