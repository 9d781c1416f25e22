"""Checkpoints: folders written beside their place, synced and renamed into it, with hashes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import ebmcore
from ebmcore.contracts import Chains
from ebmcore.errors import CheckpointError, EbmError
from ebmcore.runner.dealing import shares
from ebmcore.runner.place import Place
from ebmcore.runner.state import unpack
from ebmcore.tracking import to_disk

_STATE = "state.json"


class Contents(NamedTuple):
    """What is to be in a checkpoint."""

    step: int
    event_shape: tuple[int, ...]
    tensors: Mapping[str, Mapping[str, Tensor]]  # NAME.safetensors -> its tensors; empty: no file
    state: Any  # packed: of what is in `tensors["state"]`, the form
    whole: bool = True  # whether a run that goes on from here repeats itself bit for bit


def write_checkpoint(folder: Path, contents: Contents) -> Path:
    """Write a checkpoint so that it is there whole or not at all; return its place.

    One of the same step that is there and whole stays. Raises CheckpointError when the disk does
    not take it; what was there before is untouched.
    """
    place = folder / f"step-{contents.step:08d}"
    if place.exists() and _is_whole(place):
        return place
    beside = folder / f".{place.name}.part"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        for name, tensors in contents.tensors.items():
            if tensors:
                held = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
                save_file(held, beside / f"{name}.safetensors")
        (beside / _STATE).write_text(json.dumps(contents.state) + "\n")
        manifest = {
            "step": contents.step,
            "whole": contents.whole,
            "versions": {"ebmcore": ebmcore.__version__, "torch": str(torch.__version__)},
            "event_shape": list(contents.event_shape),
            "sha256": {file.name: _hash(file) for file in sorted(beside.iterdir())},
        }
        (beside / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        for file in (*beside.iterdir(), beside):
            to_disk(file)
        shutil.rmtree(place, ignore_errors=True)
        beside.rename(place)
        to_disk(folder)
    except (OSError, SafetensorError) as error:  # safetensors tells of a full disk by its own error
        shutil.rmtree(beside, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        before = newest(folder)
        rest = "there is none before it" if before is None else f"{before.name} is whole"
        raise CheckpointError(f"{place}: can't be written: {reason}; {rest}") from error
    return place


def newest(folder: Path) -> Path | None:
    """Return the last checkpoint from which a run goes on exactly, unread; None of none."""
    return next((place for place in _places(folder) if _is_whole(place)), None)


def has_good(folder: Path) -> bool:
    """Whether a run goes on from a checkpoint: from one that may be whole, readable or not.

    What a run that FAILED before its first checkpoint left is none: it begins again.
    """
    return any(_says_whole(place) is not False for place in _places(folder))


def prune(folder: Path, keep: int, *besides: int | None) -> None:
    """Delete all but the last `keep` checkpoints and those of the steps named besides."""
    kept = {f"step-{step:08d}" for step in besides if step is not None}
    for place in _places(folder)[keep:]:
        if place.name not in kept:
            shutil.rmtree(place, ignore_errors=True)


def drop_after(folder: Path, step: int) -> None:
    """Delete checkpoints of later steps, which are written again, and half-written ones."""
    for place in _places(folder):
        if int(place.name[5:]) > step:
            shutil.rmtree(place, ignore_errors=True)
    for torn in folder.glob(".step-*.part"):
        shutil.rmtree(torn, ignore_errors=True)


class Checkpoint:
    """A checkpoint that was read and whose files are what its manifest says."""

    def __init__(self, path: Path) -> None:
        """Read the manifest. Raises EbmError when a file is missing or was altered."""
        self.path = path
        try:
            self.manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text())
            hashes = {str(name): digest for name, digest in dict(self.manifest["sha256"]).items()}
            hashes[_STATE] = hashes.get(_STATE)  # which is always read
            self.event_shape = tuple(int(size) for size in self.manifest["event_shape"])
            self.step = int(self.manifest["step"])
            self.whole = bool(self.manifest["whole"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise EbmError(f"{path}: no readable manifest.json ({error!r})") from error
        for name, digest in hashes.items():
            file = path / name
            inside = Path(name).name == name and file.is_file() and not file.is_symlink()
            if path.is_symlink() or not inside or _hash(file) != digest:
                raise EbmError(f"{file}: missing, or not what was written (its hash differs)")

    @classmethod
    def last(
        cls, folder: Path, *, whole: bool = False, warn: Callable[[str], None] = lambda text: None
    ) -> Checkpoint:
        """Return the newest checkpoint of a run whose files are as they were written.

        A later one that was truncated or altered is passed over, and `warn` hears of it. With
        `whole`, only one from which the run goes on exactly. Raises EbmError when there is none.
        """
        problems: list[str] = []
        for place in _places(folder):
            try:
                checkpoint = cls(place)
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
        """Return that of a step. Raises EbmError when there is none, or it was altered."""
        place = folder / f"step-{step:08d}"
        if not place.is_dir():
            there = ", ".join(str(int(p.name[5:])) for p in reversed(_places(folder))) or "none"
            raise EbmError(f"{folder.parent}: no checkpoint of step {step}; there are: {there}")
        return cls(place)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of `NAME.safetensors`, none when there is no such file."""
        file = f"{name}.safetensors"
        if file not in self.manifest["sha256"]:
            return {}
        try:
            return load_file(self.path / file)
        except (SafetensorError, ValueError, OSError, MemoryError) as error:
            raise EbmError(f"{self.path / file}: no safetensors file: {error}") from error

    def state(self) -> dict[str, Any]:
        """Return all else that the next step depends on. Raises EbmError when it isn't readable."""
        try:
            packed = json.loads((self.path / _STATE).read_text())
            state = unpack(packed, self.tensors("state"))
        except (OSError, ValueError, RecursionError) as error:
            raise EbmError(f"{self.path / _STATE}: can't be read: {error}") from error
        if not isinstance(state, dict):
            raise EbmError(f"{self.path / _STATE}: should hold a dict")
        return state

    def averaged_or_weights(self) -> dict[str, Tensor]:
        """Return the weights that monitors and samples use."""
        return self.tensors("ema") or self.tensors("weights")


@contextmanager
def fitting(checkpoint: Checkpoint, part: str) -> Iterator[None]:
    """Turn what a part raises at a state that isn't its own into an EbmError that names both."""
    try:
        yield
    except EbmError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise EbmError(f"{checkpoint.path}: its state doesn't fit {part}: {what}") from error


def fill_chains(
    chains: Chains,
    checkpoint: Checkpoint,
    state: Mapping[str, Any],
    device: torch.device,
    part: str,
    place: Place = Place(),  # noqa: B008 (it can't be changed)
) -> None:
    """Put chains where a checkpoint of this `state` left them. Raises EbmError when it can't be.

    Each rank takes its own again; where there were more or fewer ranks, the chains of all are
    dealt anew.
    """
    every = shares(checkpoint, state)
    with fitting(checkpoint, part):
        held = [
            {k: v.to(device) if isinstance(v, Tensor) else v for k, v in share["chains"].items()}
            for share in every
        ]
        if len(held) == place.size:
            chains.load_state_dict(held[place.rank])
        else:
            chains.deal(held, place.rank, place.size)


def _places(folder: Path) -> Sequence[Path]:
    """List the checkpoints, the newest first."""
    found = [p for p in folder.glob("step-*") if p.name[5:].isdecimal()]
    return sorted(found, key=lambda place: int(place.name[5:]), reverse=True)


def _is_whole(place: Path) -> bool:
    return bool(_says_whole(place))


def _says_whole(place: Path) -> bool | None:
    """Return what the manifest says, None when it isn't readable."""
    try:
        whole = json.loads((place / "manifest.json").read_text())["whole"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return whole if isinstance(whole, bool) else None


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
