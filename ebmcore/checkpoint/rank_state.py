"""What each rank has of its own in a checkpoint: chains, streams, samplers, metrics that wait.

Rank 0's stands where a run of one process has it; each further rank's in `state.json` under
`ranks`, with its tensors in `rank-N.safetensors`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from safetensors.torch import load, save
from torch import Tensor

from ebmcore.checkpoint.files import Checkpoint, fitting
from ebmcore.checkpoint.serialize import pack, unpack
from ebmcore.contracts import Chains
from ebmcore.distributed.rank import Place
from ebmcore.errors import EbmError, RankError
from ebmcore.train.components import Parts
from ebmcore.train.loop import Loop

OWN = ("chains", "parts", "loop", "streams", "device")  # of each rank's state


class Hand(NamedTuple):
    """What one rank hands over, packed."""

    packed: Any
    tensors: dict[str, Tensor]


def collect(loop: Loop, state: Mapping[str, Any]) -> list[Hand]:
    """Return on rank 0 what the further ranks have of their own; every rank must ask.

    `state` is what the rank itself has. Raises RankError when their weights are not the same.
    """
    if loop.ranks.size == 1:
        return []
    packed, tensors = pack({name: state[name] for name in OWN})
    text = json.dumps({"state": packed, "weights": _digest(loop.parts)}).encode()
    held = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    data = len(text).to_bytes(8, "big") + text + (save(held) if held else b"")
    hands: list[Hand] = []
    digests: list[str] = []
    for found in loop.ranks.bytes_at_first(data):
        end = 8 + int.from_bytes(found[:8], "big")
        facts = json.loads(found[8:end])
        digests.append(facts["weights"])
        hands.append(Hand(facts["state"], load(found[end:]) if found[end:] else {}))
    others = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
    if others:
        raise RankError(
            f"step {loop.step}: the weights of rank {others[0]} are no longer those of rank 0, "
            "though their gradients are the same: something else moves them, or the ranks compute "
            "on machines that round differently"
        )
    return hands[1:]


def shares(checkpoint: Checkpoint, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each rank of the run had of its own, rank 0's first."""
    first = {name: state[name] for name in OWN if name in state}
    first["chains"] = {**dict(state.get("chains") or {}), **checkpoint.tensors("chains")}
    found = [first]
    further = state.get("ranks") or []
    if not isinstance(further, list):
        raise EbmError(f"{checkpoint.path}: ranks: should be a list of states")
    for rank, packed in enumerate(further, 1):
        try:
            own = unpack(packed, checkpoint.tensors(f"rank-{rank}"))
        except ValueError as error:
            raise EbmError(f"{checkpoint.path}: the state of rank {rank}: {error}") from error
        if not isinstance(own, dict) or not own.keys() >= set(OWN):
            raise EbmError(f"{checkpoint.path}: the state of rank {rank} lacks a part")
        found.append(own)
    return found


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


def mean_of_waiting(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the means over ranks of metrics that wait: each rank's list of [step, metrics]."""
    return [
        [step, {name: _mean([waiting[at][1][name] for waiting in rows]) for name in metrics}]
        for at, (step, metrics) in enumerate(rows[0])
    ]


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack([v.double() for v in values]).mean().to(values[0].dtype)


def _digest(parts: Parts) -> str:
    """Return numbers that two sets of weights share only when they are the same."""
    sums = [p.detach().double().sum() for p in parts.parameters]
    return repr(torch.stack(sums).tolist())
