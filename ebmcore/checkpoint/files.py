"""Checkpoint folders: written under a temporary name with hashes, synced, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ebmcore.checkpoint.serialize import unpack
from ebmcore.checkpoint.tensor_file import write_tensors
from ebmcore.errors import CheckpointError, DirectoryError, EbmError
from ebmcore.runs.folder_handle import FolderHandle
from ebmcore.runs.layout import LARGEST_MANIFEST, LARGEST_STATE
from ebmcore.runs.safe_files import SafeFiles, for_libraries, write_all
from ebmcore.version import __version__

STATE = "state.json"
_LARGEST_SIZE = 2**31  # of an axis of an event
MANIFEST = "manifest.json"
_PIECE = 256 * 1024  # bytes that are read and hashed at a time
_WRITTEN = 4 * 1024**2  # bytes that are hashed and written between two turns of the interpreter


class Contents(NamedTuple):
    """The contents of a checkpoint."""

    step: int
    event_shape: tuple[int, ...]
    tensors: Mapping[str, Mapping[str, Tensor]]  # NAME.safetensors -> its tensors; empty: no file
    state: Any  # JSON; it refers to tensors in `tensors["state"]`
    whole: bool = True  # whether a run resumed from here repeats bit for bit

    @property
    def size(self) -> int:
        """The bytes of the tensors."""
        return sum(t.nbytes for tensors in self.tensors.values() for t in tensors.values())

    def copied(self) -> Contents:
        """Return the same with copies of the tensors, on the CPU."""

        def copy(tensor: Tensor) -> Tensor:
            return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())

        tensors = {name: {k: copy(v) for k, v in of.items()} for name, of in self.tensors.items()}
        return self._replace(tensors=tensors)


def write_checkpoint(
    folder: Path, contents: Contents, cancelled: Callable[[], bool] = lambda: False
) -> Path:
    """Write a checkpoint completely or not at all; return its path.

    A whole checkpoint of the same step stays. Raises CheckpointError when the disk is full or
    fails, DirectoryError when a link is in the way, CancelledError when `cancelled` says so;
    earlier files don't change.
    """
    path = folder / _folder_name(contents.step)
    temporary = f".{path.name}.part"
    if _says_whole(path):
        return path
    try:
        with SafeFiles(folder.parent).folder(folder.name, make=True) as opened:
            opened.remove(temporary)
            try:
                with opened.new_folder(temporary) as part, part.private():
                    _fill(part, contents, cancelled)
                opened.remove(path.name)
                opened.rename(temporary, path.name)
                opened.sync()
            except BaseException:
                opened.remove(temporary)
                raise
    except OSError as error:
        reason = error.strerror or error
        before = newest(folder)
        last = "there is no earlier one" if before is None else f"{before.name} is whole"
        raise CheckpointError(f"{path}: can't be written: {reason}; {last}") from error
    return path


def _fill(part: FolderHandle, contents: Contents, cancelled: Callable[[], bool]) -> None:
    """Write the files of a checkpoint into its folder, hash them, and sync them to disk."""
    state = json.dumps(contents.state) + "\n"
    if len(state) > LARGEST_STATE:
        raise CheckpointError(
            f"{STATE} would have {len(state)} bytes; at most {LARGEST_STATE} can be read. A "
            "part's state_dict should hold large values as tensors"
        )
    hashes: dict[str, str] = {}
    for name, tensors in contents.tensors.items():
        if tensors:
            with _HashedFile(part, f"{name}.safetensors", hashes, cancelled) as file:
                write_tensors(tensors, file.write)
    with _HashedFile(part, STATE, hashes, cancelled) as file:
        file.write(state.encode())
    manifest = {
        "step": contents.step,
        "whole": contents.whole,
        "versions": {"ebmcore": __version__, "torch": str(torch.__version__)},
        "event_shape": list(contents.event_shape),
        "sha256": dict(sorted(hashes.items())),
    }
    with _HashedFile(part, MANIFEST, hashes, cancelled) as file:
        file.write((json.dumps(manifest, indent=2) + "\n").encode())
    part.sync()


class _HashedFile:
    """A new file in a folder: hashed while it is written, and synced to disk at its end."""

    def __init__(
        self,
        part: FolderHandle,
        name: str,
        hashes: dict[str, str],  # gets that of the file
        cancelled: Callable[[], bool],
    ) -> None:
        self.name, self.hashes, self.cancelled = name, hashes, cancelled
        self.handle = part.file(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self.digest = hashlib.sha256()

    def __enter__(self) -> _HashedFile:
        return self

    def write(self, data: bytes | memoryview) -> None:
        """Write bytes; hashing and writing leave the interpreter to other threads."""
        view = memoryview(data)
        for begin in range(0, len(view), _WRITTEN):
            if self.cancelled():
                raise CancelledError
            piece = view[begin : begin + _WRITTEN]
            self.digest.update(piece)
            write_all(self.handle, piece)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                os.fsync(self.handle)
                self.hashes[self.name] = self.digest.hexdigest()
        finally:
            os.close(self.handle)


def newest(folder: Path, up_to: int | None = None) -> Path | None:
    """Return the last checkpoint whose manifest says that it is whole; None without one.

    With `up_to`, later steps than that don't count.
    """
    return next((path for path in _paths(folder, up_to) if _says_whole(path)), None)


def has_good(folder: Path) -> bool:
    """Whether a resumed run continues from a checkpoint: one that is whole or unreadable.

    A run that FAILED before its first whole checkpoint begins again.
    """
    return any(_says_whole(path) is not False for path in _paths(folder))


def last_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the last checkpoint, unchecked; empty when there is none to read."""
    with suppress(OSError, EbmError, ValueError, RecursionError):
        for path in _paths(folder)[:1]:
            found = _manifest(path)
            return found if isinstance(found, dict) else {}
    return {}


def prune(folder: Path, keep: int, *besides: int | None) -> None:
    """Delete all but the last `keep` checkpoints and those of the steps in `besides`."""
    kept = {_folder_name(step) for step in besides if step is not None}
    _delete(folder, [path.name for path in _paths(folder)[keep:] if path.name not in kept])


def drop_after(folder: Path, step: int) -> None:
    """Delete checkpoints of later steps, which will be written again, and incomplete ones."""
    later = [path.name for path in _paths(folder) if int(path.name[5:]) > step]
    incomplete = [n for n in _names(folder) if n.startswith(".step-") and n.endswith(".part")]
    _delete(folder, later + incomplete)


def _delete(folder: Path, names: Sequence[str]) -> None:
    if names:
        with suppress(OSError), SafeFiles(folder.parent).folder(folder.name) as opened:
            for name in names:
                opened.remove(name)


class Checkpoint:
    """A checkpoint whose files match the hashes in its manifest."""

    def __init__(self, path: Path) -> None:
        """Read the manifest. Raises EbmError when a file is missing or was altered."""
        self.path = path
        self._files = SafeFiles(path.parent.parent)  # the run directory
        self._name = f"{path.parent.name}/{path.name}"
        try:
            self.manifest = _manifest(path)
            hashes = {str(name): digest for name, digest in dict(self.manifest["sha256"]).items()}
            hashes[STATE] = hashes.get(STATE)  # which is always read
            self.event_shape = tuple(int(size) for size in self.manifest["event_shape"])
            self.step = int(self.manifest["step"])
            self.whole = bool(self.manifest["whole"])
            if path.name != _folder_name(self.step):
                raise ValueError(f"step: should be that of {path.name}")
            if not all(0 <= size < _LARGEST_SIZE for size in self.event_shape):
                raise ValueError("event_shape: should hold sizes of events")
        except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise EbmError(f"{path}: no readable manifest.json ({error!r:.200})") from error
        for name, digest in hashes.items():
            if why := self._differs(name, digest):
                raise EbmError(f"{path / name}: missing, or not what was written ({why})")

    def _differs(self, name: str, digest: Any) -> str:
        """Return why a file doesn't match its name and hash; an empty text when it does."""
        if Path(name).name != name:
            return "it lies elsewhere"
        try:
            with self._files.open(f"{self._name}/{name}") as file:
                if name == STATE and os.fstat(file.fileno()).st_size > LARGEST_STATE:
                    return f"it has more than {LARGEST_STATE} bytes"
                return "" if _digest(file) == digest else "its hash differs"
        except DirectoryError as error:
            return error.text
        except OSError as error:
            return str(error.strerror or error)

    @classmethod
    def last(
        cls,
        folder: Path,
        *,
        whole: bool = False,
        warn: Callable[[str], None] = lambda text: None,
        up_to: int | None = None,
    ) -> Checkpoint:
        """Return the newest checkpoint of a run whose files match its manifest.

        A later one that was truncated or altered is skipped with a call of `warn`. With `whole`,
        only a checkpoint from which the run resumes exactly counts; with `up_to`, only one of that
        step or before. Raises EbmError without one.
        """
        problems: list[str] = []
        for path in _paths(folder, up_to):
            try:
                checkpoint = cls(path)
            except EbmError as error:
                problems.append(str(error))
                continue
            if whole and not checkpoint.whole:
                continue
            for problem in problems:
                warn(f"{problem}; {checkpoint.path.name} is used instead")
            return checkpoint
        none = f"{folder.parent}: the run has no checkpoint"
        raise EbmError("\n".join(problems) or none)

    @classmethod
    def of(cls, folder: Path, step: int) -> Checkpoint:
        """Return the checkpoint of a step. Raises EbmError when it is missing or was altered."""
        path = folder / _folder_name(step)
        if path.name not in _names(folder):
            there = ", ".join(str(int(p.name[5:])) for p in reversed(_paths(folder))) or "none"
            raise EbmError(f"{folder.parent}: no checkpoint of step {step}; there are: {there}")
        return cls(path)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of `NAME.safetensors`, an empty dict without such a file."""
        file = f"{name}.safetensors"
        if file not in self.manifest["sha256"]:
            return {}
        try:
            with (
                self._files.open(f"{self._name}/{file}") as opened,
                for_libraries(opened, self.path / file) as path,
            ):
                return load_file(path)
        except (SafetensorError, ValueError, OSError, MemoryError) as error:
            raise EbmError(f"{self.path / file}: no safetensors file: {error}") from error

    def state(self) -> dict[str, Any]:
        """Return the unpacked state.json. Raises EbmError when it can't be read."""
        try:
            packed = json.loads(self._files.read(f"{self._name}/{STATE}", LARGEST_STATE))
            state = unpack(packed, self.tensors("state"))
        except (OSError, ValueError, RecursionError) as error:
            raise EbmError(f"{self.path / STATE}: can't be read: {error}") from error
        if not isinstance(state, dict):
            raise EbmError(f"{self.path / STATE}: should hold a dict")
        return state

    def averaged_or_weights(self) -> dict[str, Tensor]:
        """Return the weights that monitors and samples use: the average, if the run keeps one."""
        return self.tensors("ema") or self.tensors("weights")


@contextmanager
def fitting(checkpoint: Checkpoint, part: str) -> Iterator[None]:
    """Turn an error of a part that loads its state into an EbmError that names both."""
    try:
        yield
    except EbmError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise EbmError(f"{checkpoint.path}: its state doesn't fit {part}: {what}") from error


def _names(folder: Path) -> list[str]:
    try:
        return SafeFiles(folder.parent).names(folder.name)
    except OSError as error:
        raise EbmError(f"{folder}: can't be read: {error.strerror or error}") from error


def _folder_name(step: int) -> str:
    return f"step-{step:08d}"


def _paths(folder: Path, up_to: int | None = None) -> Sequence[Path]:
    """Return the checkpoints, the newest first, up to a step."""
    names = [n for n in _names(folder) if n.startswith("step-") and n[5:].isdecimal()]
    steps = {int(name[5:]): folder / name for name in names}
    return [steps[s] for s in sorted(steps, reverse=True) if up_to is None or s <= up_to]


def _manifest(path: Path) -> dict[str, Any]:
    files = SafeFiles(path.parent.parent)
    name = f"{path.parent.name}/{path.name}/{MANIFEST}"
    manifest: dict[str, Any] = json.loads(files.read(name, LARGEST_MANIFEST))
    return manifest


def _says_whole(path: Path) -> bool | None:
    """Return the manifest's `whole`, None when it can't be read."""
    try:
        whole = _manifest(path)["whole"]
    except (OSError, EbmError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return whole if isinstance(whole, bool) else None


def _digest(file: BufferedReader) -> str:
    """Return the SHA-256 of an open file, up to its present size."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    rest = os.fstat(file.fileno()).st_size
    while rest and (count := file.readinto(buffer[: min(rest, _PIECE)])):
        digest.update(buffer[:count])
        rest -= count
    return digest.hexdigest()
