"""One open folder: reach its files by its descriptor, so that no name in it leads elsewhere.

Windows has no such descriptors; there each name is checked before it is used.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ebmcore.errors import DirectoryError

BY_DESCRIPTOR = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)  # for a FIFO's other end
_BYTES = getattr(os, "O_BINARY", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_JUNCTION = 0xA0000003  # the kind of link to a folder that any user of Windows may make
_KINDS = (
    (stat.S_ISLNK, "a link to another place"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class FolderHandle:
    """A folder that stays the same one while it is open, even if its path changes.

    Its methods take names in the folder, and follow no link. They raise DirectoryError when a link,
    a FIFO, a socket or a device is in the way, and OSError as the system does.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path = path
        self.handle = handle  # None: by its path

    @classmethod
    def at(cls, path: Path) -> FolderHandle:
        """Open a folder by its path, following links, since the path is the user's own."""
        if BY_DESCRIPTOR:
            return cls(path, os.open(path, _FOLDER))
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: no such folder")
        return cls(path, None)

    def again(self) -> FolderHandle:
        """Return the same folder, to be closed on its own."""
        return FolderHandle(self.path, None if self.handle is None else os.dup(self.handle))

    def __enter__(self) -> FolderHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        if self.handle is not None:
            os.close(self.handle)
        self.handle = None

    def for_libraries(self) -> str:
        """Return a path of the folder that stays valid while it is open, if there is one."""
        by_handle = f"/proc/self/fd/{self.handle}"
        return by_handle if self.handle is not None and os.path.isdir(by_handle) else str(self.path)

    def folder(self, name: str, *, make: bool = False) -> FolderHandle:
        """Open a folder in it; `make` makes it where there is none."""
        if make:
            with suppress(FileExistsError):
                os.mkdir(self._name(name), dir_fd=self.handle)
        if self.handle is None:
            found = self.stat(name)
            if not stat.S_ISDIR(found.st_mode) or getattr(found, "st_reparse_tag", 0) == _JUNCTION:
                raise self._refusal(name, "a plain folder")
            return FolderHandle(self.path / name, None)
        try:
            return FolderHandle(
                self.path / name, os.open(name, _FOLDER | _NO_LINK, dir_fd=self.handle)
            )
        except OSError:
            self._refuse_other(name, stat.S_ISDIR, "a plain folder")
            raise

    def new_folder(self, name: str) -> FolderHandle:
        """Make a folder in it and open that."""
        try:
            os.mkdir(self._name(name), dir_fd=self.handle)
        except FileExistsError:
            if stat.S_ISLNK(self.stat(name).st_mode):
                raise self._refusal(name, "a plain folder") from None
            raise
        return self.folder(name)

    def file(self, name: str, flags: int, most: str = "") -> int:
        """Open a regular file, and return its descriptor; `most` says how large it may be.

        Opening never waits. The check comes after opening, so that nobody can swap the file in
        between.
        """
        wanted = f"a plain file{most}"
        if self.handle is None:
            self._refuse_other(name, stat.S_ISREG, wanted)
        flags |= _NO_LINK | _NO_WAIT | _BYTES
        try:
            handle = os.open(self._name(name), flags, 0o666, dir_fd=self.handle)
        except OSError:
            self._refuse_other(name, stat.S_ISREG, wanted)
            raise
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            os.close(handle)
            raise self._refusal(name, wanted, mode)
        return handle

    def stat(self, name: str) -> os.stat_result:
        """Return the status of a name itself, not of a link's target."""
        return os.stat(self._name(name), dir_fd=self.handle, follow_symlinks=False)

    def names(self) -> list[str]:
        """List the names in it, sorted."""
        return sorted(os.listdir(self.path if self.handle is None else self.handle))

    def links(self) -> list[str]:
        """List the links in it, sorted."""
        with os.scandir(self.path if self.handle is None else self.handle) as entries:
            return sorted(entry.name for entry in entries if entry.is_symlink())

    def folders(self) -> list[str]:
        """List the folders in it, sorted, without links."""
        with os.scandir(self.path if self.handle is None else self.handle) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))

    def refuse_other_than_file(self, name: str) -> None:
        """Raise DirectoryError when there is something that isn't a regular file."""
        self._refuse_other(name, stat.S_ISREG, "a plain file")

    def rename(self, name: str, other: str) -> None:
        """Rename a file or folder, replacing the one of the new name."""
        here = self.handle
        os.replace(self._name(name), self._name(other), src_dir_fd=here, dst_dir_fd=here)

    def unlink(self, name: str) -> None:
        """Delete a file or a link, if there is one."""
        with suppress(FileNotFoundError):
            os.unlink(self._name(name), dir_fd=self.handle)

    def remove(self, folder: str) -> None:
        """Delete a folder and everything in it, as far as possible; leaves a link alone."""
        shutil.rmtree(self._name(folder), ignore_errors=True, dir_fd=self.handle)

    @contextmanager
    def private(self) -> Iterator[None]:
        """Keep others from putting anything into an empty folder, for the length of the context."""
        if self.handle is None:
            yield
            return
        mode = os.fstat(self.handle).st_mode & 0o7777
        with suppress(OSError):  # a file system without such modes
            os.fchmod(self.handle, mode & 0o7700)
        if there := self.names():
            raise DirectoryError(self.path / there[0], "was put there by somebody else just now")
        try:
            yield
        finally:
            with suppress(OSError):
                os.fchmod(self.handle, mode)

    def sync(self) -> None:
        """Sync the names in it to the disk, where the system can."""
        if self.handle is not None:
            os.fsync(self.handle)

    def _name(self, name: str) -> str:
        return name if self.handle is not None else str(self.path / name)

    def _refuse_other(self, name: str, is_right: Callable[[int], bool], wanted: str) -> None:
        try:
            mode = self.stat(name).st_mode
        except OSError:
            return
        if not is_right(mode):
            raise self._refusal(name, wanted, mode)

    def _refusal(self, name: str, wanted: str, mode: int | None = None) -> DirectoryError:
        found = self.stat(name).st_mode if mode is None else mode
        return DirectoryError(self.path / name, f"is {kind(found)}; a run's own is {wanted}")


def kind(mode: int) -> str:
    """Name the kind of file that a mode means."""
    return next((text for is_kind, text in _KINDS if is_kind(mode)), "a file")
