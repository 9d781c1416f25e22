"""Which files of a folder are images, in which order, and the labels that their folders give."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ebmcore import DataError

ENDINGS = (
    ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pnm",
)  # fmt: skip


def images_in(folder: Path) -> list[Path]:
    """Return the image files in a folder and the folders in it, sorted by their parts.

    Links are followed, but to a folder that holds them. Raises DataError when there are none, or
    the folder is missing, a file or unreadable.
    """
    if not folder.exists():
        raise DataError(f"no such folder: {folder}")
    if not folder.is_dir():
        raise DataError(
            f"{folder} is a file; `images` reads the files of a folder, and type: file reads a "
            "table or arrays"
        )
    try:
        files = list(_walk(folder))
    except OSError as error:
        place = error.filename or folder
        raise DataError(f"{place} can't be read: {error.strerror or error}") from error
    found = sorted((f for f in files if f.suffix.lower() in ENDINGS), key=lambda file: file.parts)
    if not found:
        others = f"; its {len(files)} files, such as {min(files)}, are no images" if files else ""
        raise DataError(f"{folder} holds no files that end in {', '.join(ENDINGS)}{others}")
    return found


def labels_of(folder: Path, files: Sequence[Path]) -> tuple[Tensor, tuple[str, ...]]:
    """Return the number of each file's label, (n,), and the names: of the folders in `folder`.

    Raises DataError when a file lies in no such folder.
    """
    loose = [file for file in files if file.parent == folder]
    if loose:
        raise DataError(
            f"{loose[0]} lies in no folder of a label, and labels: folders takes the folders in "
            f"{folder} for labels; move {'it' if len(loose) == 1 else f'these {len(loose)} files'} "
            "into one, or leave out `labels`"
        )
    owners = [_owner(folder, file) for file in files]
    names = tuple(sorted(set(owners)))
    return numbered(owners, names), names


def known_labels(folder: Path, files: Sequence[Path], names: Sequence[str]) -> Tensor | None:
    """Return the labels of other files by known names; None unless each file has one of these."""
    if any(file.parent == folder for file in files):
        return None
    owners = [_owner(folder, file) for file in files]
    return numbered(owners, names) if set(owners) <= set(names) else None


def numbered(owners: Sequence[str], names: Sequence[str]) -> Tensor:
    """Return each name's place among the names, (n,), int64."""
    place = {name: at for at, name in enumerate(names)}
    return torch.tensor([place[owner] for owner in owners], dtype=torch.int64)


def _owner(folder: Path, file: Path) -> str:
    return file.relative_to(folder).parts[0]


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files whose names don't begin with a dot, nor those of their folders."""

    def refuse(error: OSError) -> None:
        raise error

    for at, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        here = os.path.realpath(at)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and not f"{here}{os.sep}".startswith(os.path.realpath(Path(at, name)) + os.sep)
        ]
        yield from (Path(at, name) for name in names if not name.startswith("."))
