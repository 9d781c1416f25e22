"""Looks at whatever a path names: a folder of images, a table or an array."""

from __future__ import annotations

import difflib
from pathlib import Path

from ebmcore.errors import EbmError
from ebmcore_new.look.seen import Seen

_TABLES = (".csv", ".tsv", ".parquet")
_ARRAYS = (".npy", ".npz", ".pt", ".pth")
_FEWEST = 10  # rows


def look(path: Path) -> Seen:
    """Look at data. Raises EbmError, in one line that says what to do, when nothing can be made."""
    where = path.expanduser()
    if not where.exists():
        raise EbmError(_missing(path, where))
    if where.is_dir():
        from ebmcore_new.look.images import look_at_images

        seen = look_at_images(path)
    else:
        seen = _file(path, where)
    if seen.rows < _FEWEST:
        raise EbmError(f"{path} has {seen.rows} rows; a model needs at least {_FEWEST}")
    return seen


def _file(path: Path, where: Path) -> Seen:
    if not where.stat().st_size:
        raise EbmError(f"{path} is empty: 0 bytes")
    name = where.stem if where.suffix.lower() == ".gz" else where.name
    ending = Path(name).suffix.lower()
    if ending in _TABLES:
        from ebmcore_new.look.table import look_at_table

        return look_at_table(path, ending)
    if ending in _ARRAYS:
        from ebmcore_new.look.arrays import look_at_arrays

        return look_at_arrays(path, ending)
    raise EbmError(
        f"{path}: the ending {ending!r} is not known. ebmcore reads {', '.join(_TABLES)} tables, "
        f"{', '.join(_ARRAYS)} arrays, each also with .gz, and folders of images; write a dataset "
        "of your own for others (`ebmcore plugins new NAME --kind dataset`)"
    )


def _missing(path: Path, where: Path) -> str:
    there = where.parent
    if not there.is_dir():
        return f"no such file: {path} (nor is there a folder {there})"
    near = difflib.get_close_matches(where.name, sorted(e.name for e in there.iterdir()), 1)
    hint = f". Did you mean {path.parent / near[0]}?" if near else ""
    return f"no such file or folder: {path}{hint}"
