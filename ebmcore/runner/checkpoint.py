"""A checkpoint: a folder written beside its place and renamed into it, every file hashed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

import ebmcore
from ebmcore.errors import EbmError
from ebmcore.runner.parts import Parts


def save_checkpoint(folder: Path, parts: Parts, averaged: AveragedModel | None, step: int) -> Path:
    """Write weights, averaged weights, chains and the data's range, and a manifest of them."""
    place = folder / f"step-{step:08d}"
    beside = folder / f".{place.name}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    chains = {} if parts.chains is None else parts.chains.state_dict()
    tensors = {k: v for k, v in chains.items() if isinstance(v, Tensor)}
    _save(parts.energy.state_dict(), beside / "weights.safetensors")
    if averaged is not None:
        _save(averaged.module.state_dict(), beside / "ema.safetensors")
    if tensors:
        _save(tensors, beside / "chains.safetensors")
    _save({"bounds": parts.data.bounds}, beside / "data.safetensors")
    manifest = {
        "step": step,
        "versions": {"ebmcore": ebmcore.__version__, "torch": str(torch.__version__)},
        "event_shape": list(parts.data.event_shape),
        "chains": {k: v for k, v in chains.items() if not isinstance(v, Tensor)},
        "sha256": {file.name: _hash(file) for file in sorted(beside.iterdir())},
    }
    (beside / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    shutil.rmtree(place, ignore_errors=True)
    return beside.rename(place)


def refuse_unsaveable(state: Mapping[str, Any], *, tensors_alone: bool) -> None:
    """Raise TypeError when a state can't be in a checkpoint, before a run is trained in vain."""
    for name, value in state.items():
        if isinstance(value, Tensor):
            continue
        kind = f"{name!r} of its state_dict is {type(value).__name__}"
        if tensors_alone:
            raise TypeError(f"{kind}; only tensors can be saved")
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{kind}; only tensors and JSON types can be saved") from error


class Checkpoint:
    """A checkpoint that was read and whose files are what its manifest says."""

    def __init__(self, path: Path) -> None:
        """Read the manifest. Raises EbmError when a file is missing or was altered."""
        self.path = path
        try:
            self.manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text())
            hashes = dict(self.manifest["sha256"])
            self.event_shape = tuple(int(size) for size in self.manifest["event_shape"])
            self.step = int(self.manifest["step"])
            self.plain = dict(self.manifest["chains"])  # of the chains' state, what is no tensor
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EbmError(f"{path}: no readable manifest.json ({error!r})") from error
        for name, digest in hashes.items():
            file = path / name
            if Path(name).name != name or not file.is_file() or _hash(file) != digest:
                raise EbmError(f"{file}: missing, or not what was written (its hash differs)")

    @classmethod
    def last(cls, folder: Path) -> Checkpoint:
        """Return the newest checkpoint of a run. Raises EbmError when there is none."""
        places = sorted(folder.glob("step-*"))
        if not places:
            raise EbmError(f"{folder.parent}: the run has no checkpoint")
        return cls(places[-1])

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of `NAME.safetensors`, none when there is no such file."""
        file = f"{name}.safetensors"
        if file not in self.manifest["sha256"]:
            return {}
        try:
            return load_file(self.path / file)
        except (SafetensorError, ValueError, OSError) as error:
            raise EbmError(f"{self.path / file}: no safetensors file: {error}") from error

    def averaged_or_weights(self) -> dict[str, Tensor]:
        """Return the weights that monitors and samples use."""
        return self.tensors("ema") or self.tensors("weights")

    def chains(self) -> dict[str, Any]:
        """Return the state that the chains left."""
        return {**self.plain, **self.tensors("chains")}


def _save(tensors: dict[str, Any], file: Path) -> None:
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, file)


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
