"""The part of a checkpoint that scores and samples, without what only training needs.

The state of optimizers and schedules is two or three times as large as the weights, and so are the
weights beside their average. Without them a checkpoint opens as before, with the same energies and
samples, and its manifest says `weights_only`, so that no run resumes from it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from ebmcore.checkpoint.files import MANIFEST, STATE, Checkpoint, last_manifest
from ebmcore.checkpoint.network_state import average_file
from ebmcore.checkpoint.serialize import pack

OF_TRAINING = ("optimizer", "optimizers", "lr_scheduler")  # keys of the state
_FLAG = "weights_only"


def write_weights_only(checkpoint: Checkpoint, folder: Path) -> list[str]:
    """Write the files that change into a folder; return the names of those that stay as they are.

    Raises EbmError when the checkpoint can't be read.
    """
    state = {k: v for k, v in checkpoint.state().items() if k not in OF_TRAINING}
    packed, tensors = pack(state)
    (folder / STATE).write_text(json.dumps(packed) + "\n")
    if tensors:
        save_file(tensors, folder / "state.safetensors")
    written = sorted(path.name for path in folder.iterdir())
    hashes = dict(checkpoint.manifest["sha256"])
    kept = [name for name in hashes if name not in written and not _replaced(name, hashes)]
    manifest = {
        **checkpoint.manifest,
        "whole": False,
        _FLAG: True,
        "sha256": {
            **{name: hashes[name] for name in kept},
            **{n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in written},
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return kept


def _replaced(name: str, hashes: dict[str, Any]) -> bool:
    """Tell whether an average stands in place of a file of weights, or the file was the state's."""
    stem = name.removesuffix(".safetensors")
    average = "ema" if stem == "weights" else average_file(stem.removeprefix("network-"))
    is_weights = stem == "weights" or stem.startswith("network-")
    return stem == "state" or (is_weights and f"{average}.safetensors" in hashes)


def is_weights_only(folder: Path) -> bool:
    """Tell whether the last checkpoint of a run holds no state to resume from.

    `folder` is that of the run's checkpoints.
    """
    return bool(last_manifest(folder).get(_FLAG))
