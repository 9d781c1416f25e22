"""All that the next step of a run depends on, taken out of its objects and put back into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim import Optimizer

from ebmcore.checkpoint.files import Checkpoint, Contents, fitting
from ebmcore.checkpoint.rank_state import collect, fill_chains, mean_of_waiting, shares
from ebmcore.checkpoint.serialize import pack, unsaveable
from ebmcore.distributed.rank import Place
from ebmcore.errors import EbmError
from ebmcore.train.components import Parts

if TYPE_CHECKING:
    from ebmcore.train.loop import Loop

_RATES = ("lr", "initial_lr", "max_lr", "min_lr", "swa_lr")  # of a group, for its schedule
_RANKS = ("rank", "ranks")
_BASES = ("base_lrs", "max_lrs")  # of a schedule


def take(loop: Loop, record: dict[str, Any], *, whole: bool = True) -> Contents:
    """Gather what a checkpoint holds; `record` is what the run's record adds, of JSON types.

    One that is whole holds what each rank has of its own, so every rank must ask for it.
    """
    parts, averaged = loop.parts, loop.averaged
    chains = {} if parts.chains is None else parts.chains.state_dict()
    hands = collect(loop, own_state(loop)) if whole else []
    packed, tensors = pack(
        {
            **({"ranks": [hand.packed for hand in hands]} if hands else {}),
            "chains": {k: v for k, v in chains.items() if not isinstance(v, Tensor)},
            "optimizer": parts.optimizer.state_dict(),
            "lr_scheduler": parts.lr_scheduler and parts.lr_scheduler.state_dict(),
            "n_averaged": None if averaged is None else averaged.n_averaged,
            "parts": {name: part.state_dict() for name, part in parts.stateful},
            "loop": loop.state_dict(),
            "streams": loop.streams.state_dict(),
            "device": str(parts.device),
            "record": record,
        }
    )
    return Contents(
        step=loop.step,
        event_shape=parts.data.event_shape,
        tensors={
            "weights": parts.energy.state_dict(),
            "ema": {} if averaged is None else averaged.module.state_dict(),
            "chains": {k: v for k, v in chains.items() if isinstance(v, Tensor)},
            "data": {"bounds": parts.data.bounds},
            "state": tensors,
            **{f"rank-{rank}": hand.tensors for rank, hand in enumerate(hands, 1)},
        },
        state=packed,
        whole=whole,
    )


def own_state(loop: Loop) -> dict[str, Any]:
    """Return what a rank besides rank 0 has of its own."""
    parts = loop.parts
    named = [(name, part) for name, part in parts.stateful if not name.startswith("monitor ")]
    return {
        "chains": {} if parts.chains is None else parts.chains.state_dict(),
        "parts": {name: part.state_dict() for name, part in named},
        "loop": loop.state_dict(),
        "streams": loop.streams.state_dict(),
        "device": str(parts.device),
    }


def hand_over(loop: Loop) -> None:
    """Give rank 0, which writes a checkpoint now, what this rank has of its own."""
    collect(loop, own_state(loop))


def put_back(checkpoint: Checkpoint, loop: Loop) -> tuple[dict[str, Any], list[str]]:
    """Let a loop go on from a checkpoint; return the run's own record, and what is not exact.

    Raises EbmError when the state isn't that of such parts.
    """
    parts, state = loop.parts, checkpoint.state()
    restore_parts(checkpoint, loop, state)
    warnings: list[str] = []
    if parts.lr_scheduler is not None:
        with fitting(checkpoint, f"lr_scheduler {type(parts.lr_scheduler).__name__}"):
            parts.lr_scheduler.load_state_dict(_typed(parts.lr_scheduler, state["lr_scheduler"]))
    every = shares(checkpoint, state)
    same = len(every) == loop.ranks.size
    own = every[loop.ranks.rank if same else 0]
    for name, part in parts.stateful:
        if loop.ranks.rank and name.startswith("monitor "):
            continue  # they are rank 0's
        if name not in own.get("parts", {}):
            warnings.append(f"{checkpoint.path} holds no state of {name}; it begins afresh")
            continue
        with fitting(checkpoint, name):
            part.load_state_dict(own["parts"][name])
    with fitting(checkpoint, "the loop"):
        waiting = own["loop"]["waiting"]
        if not same:
            waiting = mean_of_waiting([share["loop"]["waiting"] for share in every])
        loop.load_state_dict({**own["loop"], "waiting": waiting})
        if not same:
            loop.streams.load_state_dict(own["streams"])
            loop.streams.renew(f"resumed at {checkpoint.step} on {loop.ranks.size} ranks")
            warnings.append(
                f"this run had {len(every)} {_RANKS[len(every) > 1]} and goes on with "
                f"{loop.ranks.size}: its chains are dealt anew and its random numbers are fresh "
                "ones, so it doesn't repeat itself bit for bit"
            )
        elif own["device"] == str(parts.device):
            loop.streams.load_state_dict(own["streams"])
        else:
            loop.streams.renew(f"resumed at {checkpoint.step} on {parts.device.type}")
            warnings.append(
                f"this run was on {own['device']} and goes on on {parts.device}: its random "
                "numbers are fresh ones, so it doesn't repeat itself bit for bit"
            )
        record = dict(state["record"])
    return record, warnings


def restore_parts(checkpoint: Checkpoint, loop: Loop, state: dict[str, Any]) -> None:
    """Put weights, average, optimiser and chains where a checkpoint left them."""
    parts, averaged = loop.parts, loop.averaged
    with fitting(checkpoint, parts.label("energy")):
        parts.energy.load_state_dict(checkpoint.tensors("weights"))
    if averaged is not None:
        with fitting(checkpoint, "the averaged weights (train.ema)"):
            averaged.module.load_state_dict(checkpoint.tensors("ema"))
            averaged.n_averaged.copy_(state["n_averaged"])
    with fitting(checkpoint, f"optimizer {type(parts.optimizer).__name__}"):
        parts.optimizer.load_state_dict(state["optimizer"])
        _keep_types(parts.optimizer, state["optimizer"])
    if parts.chains is not None:
        place = Place(loop.ranks.rank, loop.ranks.size)
        fill_chains(parts.chains, checkpoint, state, parts.device, parts.label("chains"), place)


def refuse_unsaveable(parts: Parts) -> tuple[str, str] | None:
    """Say which part's state can't be saved, and why, before a run is trained in vain."""
    for name, tensor in parts.energy.state_dict().items():
        if not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            return "energy", f"{name!r} of its state_dict is {kind}; only tensors can be saved"
        reason = unsaveable(tensor)
        if reason is not None:
            return "energy", f"{name!r} of its state_dict is {reason}"
    others = [*parts.stateful, ("optimizer", parts.optimizer)]
    if parts.lr_scheduler is not None:
        others.append(("lr_scheduler", parts.lr_scheduler))
    for place, part in others:
        try:
            pack(part.state_dict(), "state_dict")
        except TypeError as error:
            return place, str(error)
    return None


def roll_back(checkpoint: Checkpoint, loop: Loop, factor: float, why: str) -> None:
    """Put all that is trained and the chains where a checkpoint left them; the step goes on.

    The noise is fresh from here, and the learning rate, where its schedule has it by now, is
    multiplied by `factor`. Raises EbmError when the state isn't that of these parts.
    """
    parts, state = loop.parts, checkpoint.state()
    groups = parts.optimizer.param_groups
    rates = [{k: group[k] * factor for k in _RATES if group.get(k) is not None} for group in groups]
    restore_parts(checkpoint, loop, state)
    for group, rate in zip(parts.optimizer.param_groups, rates, strict=True):
        group.update(rate)
    for schedule in _schedules(parts.lr_scheduler):
        for name in _BASES:
            if hasattr(schedule, name):
                setattr(schedule, name, [rate * factor for rate in getattr(schedule, name)])
    every = shares(checkpoint, state)
    own = every[loop.ranks.rank if len(every) == loop.ranks.size else 0]
    for name, part in parts.stateful:
        if not name.startswith("monitor ") and name in own["parts"]:
            with fitting(checkpoint, name):
                part.load_state_dict(own["parts"][name])
    loop.streams.renew(why)
    loop.forget()


def _keep_types(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Give an optimiser's state the types that it had; torch makes them the weights' own."""
    weights = (p for group in optimizer.param_groups for p in group["params"])
    numbers = (number for group in saved["param_groups"] for number in group["params"])
    for weight, number in zip(weights, numbers, strict=True):
        held = optimizer.state.get(weight, {})
        for name, value in saved["state"].get(number, {}).items():
            if isinstance(value, Tensor) and value.dtype != held[name].dtype:
                held[name] = value.to(held[name].device)


def _typed(schedule: Any, state: Any) -> dict[str, Any]:
    """Give back to a schedule's state, and its parts', the one kind of dict that is more."""
    if not isinstance(state, dict):
        raise EbmError("the checkpoint holds no state of a schedule")
    counters = {k for k, v in vars(schedule).items() if isinstance(v, Counter)}
    typed = {k: Counter(v) if k in counters else v for k, v in state.items()}
    inner = getattr(schedule, "_schedulers", ())
    if inner:
        pairs = zip(inner, state["_schedulers"], strict=True)
        typed["_schedulers"] = [_typed(one, its) for one, its in pairs]
    return typed


def _schedules(schedule: Any) -> Iterator[Any]:
    """Yield a schedule and those that it is made of."""
    if schedule is not None:
        yield schedule
        for inner in getattr(schedule, "_schedulers", ()):
            yield from _schedules(inner)
