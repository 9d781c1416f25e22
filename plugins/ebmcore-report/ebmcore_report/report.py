"""Write the report of runs to a file, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ebmcore.runs import output_file, writing
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
    with output_file(path, ".html", ".htm", force=force) as draft:
        shown = read_shown([Path(run_dir) for run_dir in run_dirs])
        content = page(shown).encode("utf-8", "replace")
        with writing(path):
            draft.write_bytes(content)
    return Report(Path(path), [run.account.path for run in shown.runs], len(content))
