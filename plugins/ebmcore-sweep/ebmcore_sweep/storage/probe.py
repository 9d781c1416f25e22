"""A storage tried before a sweep begins, with nothing written to it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ebmcore import EbmError
from ebmcore.masking import mask
from ebmcore_sweep.storage.database import examine
from ebmcore_sweep.storage.guarded import StorageError, one_message
from ebmcore_sweep.storage.store import file_of, refuse_pickles


def try_storage(url: str, *, to_be_made: Path | None = None) -> None:
    """Connect to a storage's server, or look at its file.

    Args:
        url: The whole url, with its password.
        to_be_made: The folder that the sweep makes where it isn't there yet.

    Raises EbmError when the driver is missing, the server refuses, the file isn't a sweep's, or its
    folder takes no file.
    """
    refuse_pickles(url)
    file = file_of(url)
    try:
        if file is None:
            _connect(url)
        elif not os.path.lexists(file):
            with tempfile.TemporaryFile(dir=_folder(file, to_be_made)):
                pass
        elif not url.startswith("journal"):
            examine(file)
        elif not file.is_file():
            raise StorageError(f"storage {mask(url)}: is no plain file")
    except EbmError:
        raise
    except Exception as error:  # of a driver, of a network, of a folder
        raise StorageError(one_message(url, error, "can't be opened")) from error


def _connect(url: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    with create_engine(url, poolclass=NullPool).connect():
        pass


def _folder(file: Path, to_be_made: Path | None) -> Path:
    """Return the folder that a file is made in: the nearest that is there, if it is to be made."""
    folder = file.parent
    if folder == to_be_made:
        folder = next(place for place in (folder, *folder.parents) if place.exists())
    return folder
