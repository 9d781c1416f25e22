"""Takes the state of a run out of its objects for a checkpoint, and restores it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ebmcore.checkpoint.files import Checkpoint, Contents, fitting
from ebmcore.checkpoint.network_state import network_tensors, restore_networks
from ebmcore.checkpoint.rank_state import collect, fill_chains, mean_of_waiting, rank_states
from ebmcore.checkpoint.serialize import pack, unsaveable
from ebmcore.config import ENERGY
from ebmcore.data.mask import some_masks
from ebmcore.distributed.rank import RankInfo
from ebmcore.train.components import OF_RANK_0, Parts
from ebmcore.train.optim import load_schedule, load_state
from ebmcore.train.targets import optimizer_label

if TYPE_CHECKING:
    from ebmcore.train.loop import Loop

_RATES = ("lr", "initial_lr", "max_lr", "min_lr", "swa_lr")  # keys of a parameter group
_RANKS = ("rank", "ranks")
_BASES = ("base_lrs", "max_lrs")  # attributes of a scheduler


def take_snapshot(loop: Loop, record: dict[str, Any], *, whole: bool = True) -> Contents:
    """Return the contents of a checkpoint; `record` is the session's own state, of JSON types.

    A whole checkpoint holds the state of each rank, so every rank must call
    `take_snapshot` or `send_rank_state`.
    """
    parts, averaged, transforms = loop.parts, loop.averaged, loop.parts.data.transforms
    loop.settle_averages()
    chains = {} if parts.chains is None else parts.chains.state_dict()
    states = collect(loop, own_state(loop)) if whole else []
    packed, tensors = pack(
        {
            **({"ranks": [state.packed for state in states]} if states else {}),
            "chains": {k: v for k, v in chains.items() if not isinstance(v, Tensor)},
            "optimizer": parts.optimizer.state_dict(),
            **(
                {"optimizers": {name: o.state_dict() for name, o in parts.optimizers.items()}}
                if parts.networks
                else {}
            ),
            "lr_scheduler": parts.lr_scheduler and parts.lr_scheduler.state_dict(),
            "n_averaged": None if averaged is None else averaged.n_averaged,
            "parts": {name: part.state_dict() for name, part in parts.stateful},
            "loop": loop.state_dict(),
            "streams": loop.streams.state_dict(),
            "device": str(parts.device),
            "record": record,
            **({"transforms": transforms.state_dict()} if transforms is not None else {}),
        }
    )
    return Contents(
        step=loop.step,
        event_shape=parts.data.event_shape,
        tensors={
            "weights": parts.energy.state_dict(),
            "ema": {} if averaged is None else averaged.module.state_dict(),
            **network_tensors(loop),
            "chains": {k: v for k, v in chains.items() if isinstance(v, Tensor)},
            "data": {"bounds": parts.data.bounds, **_masks(parts)},
            "state": tensors,
            **{f"rank-{rank}": state.tensors for rank, state in enumerate(states, 1)},
        },
        state=packed,
        whole=whole,
    )


def _masks(parts: Parts) -> dict[str, Tensor]:
    masks = some_masks(parts.data.mask)
    return {} if masks is None else {"masks": masks}


def own_state(loop: Loop) -> dict[str, Any]:
    """Return the state that each rank has of its own."""
    parts = loop.parts
    named = [(name, part) for name, part in parts.stateful if not name.startswith(OF_RANK_0)]
    return {
        "chains": {} if parts.chains is None else parts.chains.state_dict(),
        "parts": {name: part.state_dict() for name, part in named},
        "loop": loop.state_dict(),
        "streams": loop.streams.state_dict(),
        "device": str(parts.device),
    }


def send_rank_state(loop: Loop) -> None:
    """Send this rank's own state to rank 0, which writes a checkpoint."""
    collect(loop, own_state(loop))


def restore(checkpoint: Checkpoint, loop: Loop) -> tuple[dict[str, Any], list[str]]:
    """Restore a loop from a checkpoint; return the session's state, and warnings.

    Raises EbmError when the state doesn't fit the parts.
    """
    parts, state = loop.parts, checkpoint.state()
    restore_parts(checkpoint, loop, state)
    if parts.data.transforms is not None:
        with fitting(checkpoint, "data.transform"):
            parts.data.transforms.compare(state["transforms"])
    warnings: list[str] = []
    if parts.lr_scheduler is not None:
        with fitting(checkpoint, f"lr_scheduler {type(parts.lr_scheduler).__name__}"):
            load_schedule(parts.lr_scheduler, state["lr_scheduler"])
    every = rank_states(checkpoint, state)
    same = len(every) == loop.ranks.size
    own = every[loop.ranks.rank if same else 0]
    for name, part in parts.stateful:
        if loop.ranks.rank and name.startswith(OF_RANK_0):
            continue
        if name not in own.get("parts", {}):
            warnings.append(f"{checkpoint.path} holds no state of {name}, which starts again")
            continue
        with fitting(checkpoint, name):
            part.load_state_dict(own["parts"][name])
    with fitting(checkpoint, "the loop"):
        waiting = own["loop"]["waiting"]
        if not same:
            waiting = mean_of_waiting([one["loop"]["waiting"] for one in every])
        loop.load_state_dict({**own["loop"], "waiting": waiting})
        if not same:
            loop.streams.load_state_dict(own["streams"])
            loop.streams.renew(f"resumed at {checkpoint.step} on {loop.ranks.size} ranks")
            warnings.append(
                f"this run had {len(every)} {_RANKS[len(every) > 1]} and resumes with "
                f"{loop.ranks.size}: its chains are redistributed and its random streams reseeded, "
                "so it doesn't repeat bit for bit"
            )
        elif own["device"] == str(parts.device):
            loop.streams.load_state_dict(own["streams"])
        else:
            loop.streams.renew(f"resumed at {checkpoint.step} on {parts.device.type}")
            warnings.append(
                f"this run was on {own['device']} and resumes on {parts.device}: its random "
                "streams are reseeded, so it doesn't repeat bit for bit"
            )
        record = dict(state["record"])
    return record, warnings


def restore_parts(checkpoint: Checkpoint, loop: Loop, state: dict[str, Any]) -> None:
    """Restore weights, average, optimiser and chains from a checkpoint."""
    parts, averaged = loop.parts, loop.averaged
    with fitting(checkpoint, parts.label("energy")):
        parts.energy.load_state_dict(checkpoint.tensors("weights"))
    if averaged is not None:
        with fitting(checkpoint, "the averaged weights (train.ema)"):
            averaged.module.load_state_dict(checkpoint.tensors("ema"))
            averaged.n_averaged.copy_(state["n_averaged"])
    restore_networks(checkpoint, loop)
    saved = {ENERGY: state["optimizer"], **state.get("optimizers", {})}
    for name, optimizer in parts.every_optimizer.items():
        with fitting(checkpoint, optimizer_label(name, optimizer)):
            load_state(optimizer, saved[name])
    if parts.chains is not None:
        rank_info = RankInfo(loop.ranks.rank, loop.ranks.size)
        fill_chains(parts.chains, checkpoint, state, parts.device, parts.label("chains"), rank_info)


def refuse_unsaveable(parts: Parts) -> tuple[str, str] | None:
    """Return the first part whose state can't be saved, and why, before the run trains."""
    networks = {f"network {name}": network for name, network in parts.networks.items()}
    for label, module in {"energy": parts.energy, **networks}.items():
        for name, tensor in module.state_dict().items():
            if not isinstance(tensor, Tensor):
                kind = type(tensor).__name__
                return label, f"{name!r} of its state_dict is {kind}; only tensors can be saved"
            reason = unsaveable(tensor)
            if reason is not None:
                return label, f"{name!r} of its state_dict is {reason}"
    others = [*parts.stateful, ("optimizer", parts.optimizer)]
    others.extend((f"optimizers {name}", one) for name, one in parts.optimizers.items())
    if parts.lr_scheduler is not None:
        others.append(("lr_scheduler", parts.lr_scheduler))
    if parts.data.transforms is not None:
        others.append(("data.transform", parts.data.transforms))
    for name, part in others:
        try:
            pack(part.state_dict(), "state_dict")
        except TypeError as error:
            return name, str(error)
    return None


def roll_back(checkpoint: Checkpoint, loop: Loop, factor: float, why: str) -> None:
    """Restore weights, optimiser, chains and parts from a checkpoint; the step count stays.

    Reseeds the streams and multiplies the present learning rate by `factor`. Raises EbmError when
    the state doesn't fit the parts.
    """
    parts, state = loop.parts, checkpoint.state()
    every_optimizer = parts.every_optimizer.values()
    groups = [group for optimizer in every_optimizer for group in optimizer.param_groups]
    rates = [{k: group[k] * factor for k in _RATES if group.get(k) is not None} for group in groups]
    restore_parts(checkpoint, loop, state)
    groups = [group for optimizer in every_optimizer for group in optimizer.param_groups]
    for group, rate in zip(groups, rates, strict=True):
        group.update(rate)
    for scheduler in _schedulers(parts.lr_scheduler):
        for name in _BASES:
            if hasattr(scheduler, name):
                setattr(scheduler, name, [rate * factor for rate in getattr(scheduler, name)])
    every = rank_states(checkpoint, state)
    own = every[loop.ranks.rank if len(every) == loop.ranks.size else 0]
    for name, part in parts.stateful:
        if not name.startswith(OF_RANK_0) and name in own["parts"]:
            with fitting(checkpoint, name):
                part.load_state_dict(own["parts"][name])
    loop.streams.renew(why)
    loop.discard_pending()


def _schedulers(scheduler: Any) -> Iterator[Any]:
    """Yield a scheduler and its inner schedulers."""
    if scheduler is not None:
        yield scheduler
        for inner in getattr(scheduler, "_schedulers", ()):
            yield from _schedulers(inner)
