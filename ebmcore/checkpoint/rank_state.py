"""Each rank's own state in a checkpoint: chains, streams, samplers, pending metrics.

Rank 0's is stored as in a run of one process, each further rank's in `state.json` under `ranks`,
with its tensors in `rank-N.safetensors`.
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
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import EbmError, RankError
from ebmcore.train.components import Parts
from ebmcore.train.loop import Loop

OWN = ("chains", "parts", "loop", "streams", "device")  # keys of a rank's own state


class RankState(NamedTuple):
    """The packed state of one rank."""

    packed: Any
    tensors: dict[str, Tensor]


def collect(loop: Loop, state: Mapping[str, Any]) -> list[RankState]:
    """Return on rank 0 the states of the further ranks; every rank must call it.

    `state` is this rank's own. Raises RankError when the ranks' weights differ.
    """
    if loop.ranks.size == 1:
        return []
    packed, tensors = pack({name: state[name] for name in OWN})
    text = json.dumps({"state": packed, "weights": _digest(loop.parts)}).encode()
    held = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    data = len(text).to_bytes(8, "big") + text + (save(held) if held else b"")
    states: list[RankState] = []
    digests: list[str] = []
    for sent in loop.ranks.gather_bytes(data):
        end = 8 + int.from_bytes(sent[:8], "big")
        facts = json.loads(sent[8:end])
        digests.append(facts["weights"])
        states.append(RankState(facts["state"], load(sent[end:]) if sent[end:] else {}))
    others = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
    if others:
        raise RankError(
            f"step {loop.step}: the weights of rank {others[0]} differ from rank 0's although the "
            "gradients are the same: other code changes them, or the ranks run on machines that "
            "round differently"
        )
    return states[1:]


def rank_states(checkpoint: Checkpoint, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the own state of each rank of the run, rank 0's first."""
    first = {name: state[name] for name in OWN if name in state}
    first["chains"] = {**dict(state.get("chains") or {}), **checkpoint.tensors("chains")}
    states = [first]
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
        states.append(own)
    return states


def fill_chains(
    chains: Chains,
    checkpoint: Checkpoint,
    state: Mapping[str, Any],
    device: torch.device,
    part: str,
    rank_info: RankInfo = RankInfo(),  # noqa: B008 (it can't be changed)
) -> None:
    """Restore chains from a checkpoint with this `state`. Raises EbmError when it doesn't fit.

    Each rank takes its own; if the number of ranks changed, the chains of all are redistributed.
    """
    every = rank_states(checkpoint, state)
    with fitting(checkpoint, part):
        held = [
            {k: v.to(device) if isinstance(v, Tensor) else v for k, v in one["chains"].items()}
            for one in every
        ]
        if len(held) == rank_info.size:
            chains.load_state_dict(held[rank_info.rank])
        else:
            chains.deal(held, rank_info.rank, rank_info.size)


def mean_of_waiting(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the mean over ranks of pending metrics, each rank's a list of [step, metrics]."""
    return [
        [step, {name: _mean([waiting[at][1][name] for waiting in rows]) for name in metrics}]
        for at, (step, metrics) in enumerate(rows[0])
    ]


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack([v.double() for v in values]).mean().to(values[0].dtype)


def _digest(parts: Parts) -> str:
    """Return sums of the weights, to compare those of two ranks."""
    sums = [p.detach().double().sum() for p in parts.parameters]
    return repr(torch.stack(sums).tolist())
