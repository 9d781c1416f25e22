"""Command lines of ours to paste into the shell that the user called us from."""

from __future__ import annotations

import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from ebmcore.distributed.rank import ranks_of_one_machine
from ebmcore.errors import EbmError


def program(name: str) -> list[str]:
    """Return the words that start a program of this Python: its name, if the shell finds it."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return [name] if shutil.which(name) == str(beside) else [from_here(beside)]
    return [name] if shutil.which(name) else [from_here(Path(sys.executable)), "-m", name]


def from_here(path: Path) -> str:
    """Return a path relative to the working directory, if it lies in that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def same_command() -> str:
    """Return the command line that this process was called with."""
    return shlex.join([*program("ebmcore"), *sys.argv[1:]])


def resume_command(run_dir: Path) -> str:
    """Return the command that resumes a run, with the local plugin files that it was made with.

    All else, the overrides too, is in the run's own config. Ranks of one machine get torchrun's. A
    child gets none, since the command that began its parent goes on with it.
    """
    from ebmcore.runner.reopen import without_files
    from ebmcore.runs.directory import read_recorded
    from ebmcore.runs.parent_child import recorded_parent
    from ebmcore.runs.status import read_account

    if recorded_parent(read_account(run_dir).facts) is not None:
        return ""
    files: list[str] = []
    with suppress(EbmError):
        source = read_recorded(run_dir)
        files = [from_here((source.folder / file).resolve()) for file in without_files(source)]
    named = [word for file in files for word in ("-p", file)]
    return shlex.join([*_launched(), "resume", str(run_dir), *named])


def _launched() -> list[str]:
    if (size := ranks_of_one_machine()) > 1:
        return [*program("torchrun"), f"--nproc-per-node={size}", "-m", "ebmcore"]
    return program("ebmcore")
