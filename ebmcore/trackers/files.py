"""The files of a run directory that go to the trackers: plain ones inside it, no link out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ebmcore.runs.jsonl import is_plain
from ebmcore.runs.layout import (
    ARTIFACTS,
    BEST,
    CHECKPOINTS,
    EVALUATION,
    FIGURES,
    LOG,
    PLUGINS,
    SUMMARY,
)
from ebmcore.runs.safe_files import SafeFiles, for_libraries

_CHECKPOINT = re.compile(r"step-\d+")


class Pictures:
    """The pictures of the monitors; lists a folder again only when it changed."""

    def __init__(self, run_dir: Path) -> None:
        self.folder = run_dir / FIGURES
        self._changed: dict[Path, int] = {}
        self._sent: dict[Path, set[str]] = {}

    def waiting(self, *, all_folders: bool = False) -> list[Path]:
        """Return the pictures that were not sent yet; `all_folders` ignores the folders' times."""
        found: list[Path] = []
        for folder in _folders(self.folder):
            changed = folder.stat().st_mtime_ns
            if all_folders or self._changed.get(folder) != changed:
                sent = self._sent.get(folder, set())
                new = [f for f in _plain_files(folder, "*.png") if f.name not in sent]
                found += new
                if not new:
                    self._changed[folder] = changed
        return found

    def mark(self, picture: Path) -> None:
        """Record that a picture was sent."""
        self._sent.setdefault(picture.parent, set()).add(picture.name)


def pictures(run_dir: Path) -> list[Path]:
    """Return all pictures of a run."""
    folders = _folders(run_dir / FIGURES)
    return [file for folder in folders for file in _plain_files(folder, "*.png")]


def evaluation_files(run_dir: Path) -> Iterator[Path]:
    """Yield the files that `ebmcore evaluate` wrote."""
    return _inside(_folders(run_dir, EVALUATION))


def last_files(run_dir: Path, *, checkpoint: bool = True) -> Iterator[Path]:
    """Yield the files to send after a run ended: checkpoint, plugins, artifacts, log, summary."""
    checkpoints = [f for f in _folders(run_dir / CHECKPOINTS) if _CHECKPOINT.fullmatch(f.name)]
    yield from _inside(checkpoints[-1:] if checkpoint else [])
    yield from plugin_files(run_dir)
    yield from _inside(_folders(run_dir, ARTIFACTS))
    yield from (run_dir / name for name in (LOG, SUMMARY, BEST) if is_plain(run_dir / name))


def plugin_files(run_dir: Path) -> Iterator[Path]:
    """Yield the local plugin files that a run was made with."""
    return _inside(_folders(run_dir, PLUGINS))


def _inside(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from _plain_files(folder)
        for inner in _folders(folder):
            yield from _plain_files(inner)


@contextmanager
def opened_path(run_dir: Path, file: Path) -> Iterator[Path]:
    """Give a path of that name to a plain file of a run, even if somebody swaps the file meanwhile.

    A tracker takes the file at a path. Raises DirectoryError when the file isn't plain now, and
    OSError when it is missing.
    """
    name = file.relative_to(run_dir).as_posix()
    with SafeFiles(run_dir).open(name) as opened, for_libraries(opened, file) as path:
        if path == file:
            yield file
            return
        with TemporaryDirectory() as folder:
            link = Path(folder) / file.name
            link.symlink_to(path)
            yield link


def _folders(parent: Path, pattern: str = "*") -> list[Path]:
    if not parent.is_dir() or (parent.is_symlink() and pattern == "*"):
        return []  # a run directory itself may be a link; a folder in it may not
    return sorted(f for f in parent.glob(pattern) if f.is_dir() and not f.is_symlink())


def _plain_files(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(f for f in folder.glob(pattern) if is_plain(f))
