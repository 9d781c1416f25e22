"""Files that commands write where their user says: whole at the end, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ebmcore.errors import EbmError


@contextmanager
def output_file(path: str | Path, *endings: str, force: bool = False) -> Iterator[Path]:
    """Give an empty draft of a file, which gets the file's name when the block ends.

    A block that raises leaves what was there. Raises EbmError when the name has none of the
    endings, when a file of this name is there, unless `force` says to replace it, and when it can't
    be written, before the block if that can be seen.
    """
    if "\0" in str(path):
        raise EbmError(f"{path}: holds a null byte, as no file's name does")
    target = Path(os.path.realpath(path))
    if target.suffix.lower() not in endings:
        raise EbmError(f"{path}: should end in {', '.join(endings)}")
    if not target.parent.is_dir():
        raise EbmError(f"{path}: no such folder {Path(path).parent}")
    _refuse(path, target, force=force)
    draft = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with writing(path):
            draft.touch()
        yield draft
        _refuse(path, target, force=force)  # it may have come meanwhile
        with writing(path):
            draft.replace(target)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Raise an OSError of the block, such as a full disk, as an EbmError that names the file."""
    try:
        yield
    except OSError as error:
        raise EbmError(f"{path}: can't be written: {error.strerror or error}") from error


def _refuse(path: str | Path, target: Path, *, force: bool) -> None:
    with writing(path), suppress(FileNotFoundError):
        target.lstat()
        if not target.is_file():
            raise EbmError(f"{path}: is no plain file, so it can't be replaced")
        if not force:
            raise EbmError(f"{path}: is there already; name another file, or --force to replace it")
