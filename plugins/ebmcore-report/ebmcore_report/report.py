"""Write the report of runs to a file, whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ebmcore import EbmError
from ebmcore_report.page import page
from ebmcore_report.record import read_shown


class Report(NamedTuple):
    """A report that was written."""

    path: Path
    run_dirs: list[Path]  # of the runs on the page, children of groups among them
    size: int  # bytes


def write_report(
    run_dirs: Sequence[str | Path], path: str | Path = "report.html", *, force: bool = False
) -> Report:
    """Write one HTML page about runs, which needs no network: text, curves, pictures, animations.

    Reads files of the run directories alone, so it needs no plugin of the runs, and a run may still
    be going on. Of a group of seeds or a sweep it shows the children.

    Args:
        run_dirs: Run directories; those of several runs stand side by side.
        path: The page, .html.
        force: Whether to replace a file that is there.

    Raises EbmError when a directory is no run, the file is there, or it can't be written.
    """
    target = Path(path)
    _refuse(target, force=force)
    shown = read_shown([Path(run_dir) for run_dir in run_dirs])
    content = page(shown).encode("utf-8", "replace")
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        draft.write_bytes(content)
        _refuse(target, force=force)  # it may have come meanwhile
        draft.replace(target)
    except OSError as error:
        raise EbmError(f"{target}: can't be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return Report(target, [run.account.path for run in shown.runs], len(content))


def _refuse(target: Path, *, force: bool) -> None:
    """Raise EbmError when a file can't take the page's name."""
    if "\0" in str(target):
        raise EbmError(f"{target}: holds a null byte, as no file's name does")
    if target.suffix.lower() not in (".html", ".htm"):
        raise EbmError(f"{target}: should end in .html")
    if not target.parent.is_dir():
        raise EbmError(f"{target}: no such folder {target.parent}")
    if not os.path.lexists(target):
        return
    if not target.is_file():
        raise EbmError(f"{target}: is no plain file, so it can't be replaced")
    if not force:
        raise EbmError(f"{target}: is there already; name another file, or --force to replace it")
