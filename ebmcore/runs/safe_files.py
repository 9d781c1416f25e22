"""Access below a folder that somebody else may have made: plain files, and through no link.

A run directory may come from anybody. In place of a run's file there may be a link to a file of the
user's, a FIFO without a writer or a device that never ends. So `SafeFiles` walks a name folder by
folder from an open one, follows no link, and checks each opened file before it is used. The path of
the folder itself comes from the user and may go through links.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import BinaryIO

from ebmcore.errors import DirectoryError
from ebmcore.runs.folder_handle import BY_DESCRIPTOR, FolderHandle

_PART = ".part"  # after the name of a file that is being written
_APART = frozenset("\0\\:" if os.name == "nt" else "\0")  # forbidden in a file's name
_DEEPEST = 8  # folders in folders


class SafeFiles:
    """The files below one folder. Names are relative, with "/" between their parts.

    All methods raise DirectoryError when something other than a plain file or folder is in the way,
    or the folder was moved while it was held, and OSError as the system does.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._there = self.path.absolute()
        self._held: FolderHandle | None = None
        self._follows = False
        self._mutex = threading.Lock()
        self._appended: dict[str, tuple[int, int]] = {}  # device and inode

    def hold(self) -> None:
        """Keep the folder open, to notice from now on when it is moved or removed."""
        with self._mutex:
            if self._held is None:
                self._held = FolderHandle.at(self.path)

    def let_go(self) -> None:
        """Close it again."""
        with self._mutex:
            if self._held is not None:
                self._held.close()
            self._held, self._follows = None, False
            self._appended.clear()

    def follow(self) -> None:
        """Follow the held folder to its new place, so that a run can record its end there."""
        self._follows = True

    @contextmanager
    def folder(self, name: str = "", *, make: bool = False) -> Iterator[FolderHandle]:
        """Open a folder; `make` makes its missing parts."""
        opened = self._root()
        try:
            for part in self._parts(name):
                inner = opened.folder(part, make=make)
                opened.close()
                opened = inner
            yield opened
        finally:
            opened.close()

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """Open a file to be read."""
        folder, last = self._split(name)
        with self.folder(folder) as opened:
            handle = opened.file(last, os.O_RDONLY)
        with os.fdopen(handle, "rb") as file:
            yield file

    @contextmanager
    def open_to_change(self, name: str) -> Iterator[BufferedRandom]:
        """Open a file to be read and written in place."""
        folder, last = self._split(name)
        with self.folder(folder) as opened:
            handle = opened.file(last, os.O_RDWR)
        with os.fdopen(handle, "r+b") as file:
            self._refuse_second_name(name, handle)
            yield file

    def read(self, name: str, largest: int) -> bytes:
        """Return a file's contents. Raises DirectoryError when it has more bytes than `most`."""
        most = f" of at most {_size(largest)}"
        folder, last = self._split(name)
        with self.folder(folder) as opened:
            handle = opened.file(last, os.O_RDONLY, most)
        with os.fdopen(handle, "rb") as file:
            size = os.fstat(handle).st_size
            found = file.read(largest + 1) if size <= largest else b""
        if max(size, len(found)) > largest:
            text = f"is {_size(max(size, len(found)))} large; a run's own is a plain file{most}"
            raise DirectoryError(self.path / name, text)
        return found

    def append(self, name: str, data: bytes, *, anew: bool = False) -> None:
        """Add to the end of a file, which is made when there is none.

        A file that was appended to before and is gone is an error, unless `anew` makes it again. A
        file with a second name (a hard link) is refused, unless it was appended to before, since
        `cp -al` of a running run makes one.
        """
        folder, last = self._split(name)
        known = self._appended.get(name)
        flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT if known is None or anew else 0)
        with self.folder(folder, make=True) as opened:
            try:
                handle = opened.file(last, flags)
            except FileNotFoundError as error:
                if known is None:
                    raise
                raise DirectoryError(self.path / name, "was removed while it grew") from error
        try:
            found = os.fstat(handle)
            if (found.st_dev, found.st_ino) != known:
                self._refuse_second_name(name, handle)
                self._appended[name] = found.st_dev, found.st_ino
            write_all(handle, data)
        finally:
            os.close(handle)

    def open_log(self, name: str) -> BinaryIO:
        """Open a file for the output of another process; the caller closes it."""
        folder, last = self._split(name)
        with self.folder(folder, make=True) as opened:
            handle = opened.file(last, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        file = os.fdopen(handle, "ab")
        try:
            self._refuse_second_name(name, handle)
        except BaseException:
            file.close()
            raise
        return file

    @contextmanager
    def new(self, name: str, *, sync: bool = False) -> Iterator[BinaryIO]:
        """Open a file to be written beside its place, which is renamed there when it is whole.

        With `sync` it is on the disk before. An exception leaves the old file untouched.
        """
        folder, last = self._split(name)
        beside = last + _PART
        with self.folder(folder, make=True) as opened:
            opened.refuse_other_than_file(last)
            opened.unlink(beside)
            handle = opened.file(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                with os.fdopen(handle, "wb") as file:
                    yield file
                    file.flush()
                    if sync:
                        os.fsync(handle)
                opened.rename(beside, last)
            except BaseException:
                with suppress(OSError):
                    opened.unlink(beside)
                raise

    def replace(self, name: str, data: bytes, *, sync: bool = False) -> None:
        """Write a file whole, replacing the old one."""
        with self.new(name, sync=sync) as file:
            file.write(data)

    def names(self, folder: str = "") -> list[str]:
        """List the names in a folder, sorted; nothing when there is no folder."""
        try:
            with self.folder(folder) as opened:
                return opened.names()
        except FileNotFoundError:
            return []

    def check(self, files: Iterable[str], folders: Iterable[str], *, below: bool = False) -> None:
        """Raise DirectoryError when one of the files isn't plain, or one of the folders is a link.

        With `below`, also when there is a link anywhere below the folders.
        """
        with self.folder() as opened:
            for name in files:
                opened.refuse_other_than_file(name)
            for name in sorted({*folders}.intersection(opened.links())):
                opened.refuse_other_than_file(name)
            if below:
                _refuse_below(opened, sorted({*folders}.intersection(opened.folders())))

    def _root(self) -> FolderHandle:
        with self._mutex:
            if self._held is None:
                return FolderHandle.at(self.path)
            if not self._follows and not self._is_there(self._held):
                text = "was moved or removed while it was being written"
                raise DirectoryError(self.path, text)
            return self._held.again()

    def _is_there(self, held: FolderHandle) -> bool:
        try:
            found = self._there.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return held.handle is None or os.path.samestat(found, os.fstat(held.handle))

    def _refuse_second_name(self, name: str, handle: int) -> None:
        if BY_DESCRIPTOR and os.fstat(handle).st_nlink > 1:
            raise DirectoryError(
                self.path / name,
                "has a second name (a hard link), so a change would change that file too; put a "
                "copy in its place",
            )

    def _split(self, name: str) -> tuple[str, str]:
        parts = self._parts(name)
        if not parts:
            raise DirectoryError(self.path, "is a folder, where a file's name is wanted")
        return "/".join(parts[:-1]), parts[-1]

    def _parts(self, name: str) -> list[str]:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if any(part == ".." or not _APART.isdisjoint(part) for part in parts):
            raise DirectoryError(self.path / name, "is no name below a run's directory")
        return parts


@contextmanager
def for_libraries(file: BinaryIO, path: Path) -> Iterator[Path]:
    """Give the path of an open file to a library that opens paths only.

    The path leads to that very file while it is open, even if its own path changed; on systems
    without such paths it is the file's own.
    """
    by_handle = Path(f"/proc/self/fd/{file.fileno()}")
    yield by_handle if by_handle.exists() else path


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write all of the data."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _refuse_below(opened: FolderHandle, names: Sequence[str], depth: int = 0) -> None:
    """Refuse links in the folders of these names, down to a depth that no run reaches."""
    for name in names:
        with suppress(OSError), opened.folder(name) as inner:
            for link in inner.links():
                inner.refuse_other_than_file(link)
            if depth < _DEEPEST:
                _refuse_below(inner, inner.folders(), depth + 1)


def _size(count: int) -> str:
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} bytes"
