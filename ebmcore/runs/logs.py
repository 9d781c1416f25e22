"""Opening the log of a task in a run directory, through no link."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ebmcore.runs.safe_files import SafeFiles


def open_log(log: Path) -> BinaryIO:
    """Open a task's log, in its folder, to be added to; the caller closes it.

    Neither may be a link: a run directory, in which logs lie, may be somebody else's. Raises
    EbmError when one is, or stands for another file than a plain one, and OSError.

    Example:
        >>> with open_log(task.log) as log:
        ...     subprocess.Popen(task.argv, stdout=log, stderr=subprocess.STDOUT)
    """
    folder = log.absolute().parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    return SafeFiles(folder.parent).open_log(f"{folder.name}/{log.name}")
