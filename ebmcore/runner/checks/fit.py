"""Checks of a run's assembled parts against each other, before anything is written."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import torch
from torch import Generator

from ebmcore.checkpoint.serialize import pack
from ebmcore.checkpoint.snapshot import refuse_unsaveable
from ebmcore.config import Train
from ebmcore.contracts import Energy
from ebmcore.distributed.init_sync import keep_own_share
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import PluginError, first_line, too_large
from ebmcore.runner.checks.data_fit import check_monitor, check_parts, check_start
from ebmcore.runner.checks.masks import check_masks
from ebmcore.runner.checks.networks import check_training
from ebmcore.sampling import check_energies, conditioned, conditions_of, evaluating
from ebmcore.sampling.slots import keep_ends, kept_by, start_chains
from ebmcore.train.components import Parts, is_flat

Refuse = Callable[..., NoReturn]  # a place in a config, why, and the error that showed it

_FLAT = (
    "{energy} is piecewise linear in x, or a trained part of it is, so the trace of its Hessian is "
    "0 almost everywhere and {loss} would only flatten it; take a smooth activation, such as silu, "
    "softplus or tanh"
)

_WHOLE = (
    "{energy} doesn't take the data's events, which are {space} and so int64: {error}. Take an "
    "energy that embeds them, such as a net of torch.nn.functional.one_hot(x, k).float(), or set "
    "data.space to real if the events are numbers"
)

_UNBOUND = (
    "{energy} requires `{name}`, which a run doesn't bind: give `{name}` a default, for what "
    "monitors and samplers see"
)


def check_fit(
    parts: Parts, train: Train, rank_info: RankInfo, probe: Generator, refuse: Refuse
) -> list[str]:
    """Refuse parts that don't fit each other or the batch; return warnings.

    The chains, on several ranks, keep their own share afterwards. `probe` draws the start points of
    a copy of them.
    """
    warnings: list[str] = []
    _check_batch(parts, train, rank_info, refuse)
    _check_conditions(parts, refuse)
    check_parts(parts, train, refuse)
    warnings.extend(check_masks(parts, refuse))
    _check_energy(parts, refuse)
    _check_sampler(parts, refuse)
    if parts.chains is not None and rank_info.size > 1:
        try:
            warnings.extend(keep_own_share(parts.chains, parts.label("chains"), rank_info))
        except ValueError as error:
            refuse("chains", f"{parts.label('chains')}: {error}", error)
    _check_chains(parts, train.batch_size // rank_info.size, probe, refuse)
    warnings.extend(check_training(parts, refuse))
    problem = refuse_unsaveable(parts)
    if problem is not None:
        place, why = problem
        refuse(place.partition(" ")[0], f"{parts.label(place)}: {why}")
    for entry in parts.monitors:
        try:
            check_monitor(entry.function, parts.data, parts.energy)
        except Exception as error:
            refuse("monitors", f"{entry.label}: {error}", error)
    return warnings


def _check_batch(parts: Parts, train: Train, rank_info: RankInfo, refuse: Refuse) -> None:
    if train.batch_size % rank_info.size:
        message = (
            f"should be divisible by the {rank_info.size} ranks, since it is the batch of all of "
            f"them together; got {train.batch_size}"
        )
        refuse("train.batch_size", message)
    points = parts.data.n
    if train.batch_size > points:
        message = f"should be at most the {points} training points; got {train.batch_size}"
        refuse("train.batch_size", message)


def _check_conditions(parts: Parts, refuse: Refuse) -> None:
    taken = conditions_of(parts.energy)
    label = parts.label("energy")
    for name in () if taken is None else taken.required:
        if name == "t":
            refuse("energy", _UNBOUND.format(energy=label, name=name))
        if name == "y" and parts.data.y is None:
            refuse("energy", f"{label} requires labels `y`, and the data have none")


def _check_energy(parts: Parts, refuse: Refuse) -> None:
    data, label = parts.data, parts.label("energy")
    try:
        with torch.no_grad(), evaluating(parts.energy):
            check_energies(_of_two(parts)(data.x[:2]), data.x[:2])
    except Exception as error:
        shape = tuple(data.event_shape)
        if not data.x.is_floating_point():
            refuse("energy", _WHOLE.format(energy=label, space=data.space, error=first_line(error)))
        refuse("energy", f"{label} doesn't take events of shape {shape}: {error}", error)
    for term in parts.losses:
        if term.needs_curvature and is_flat(parts.energy):
            refuse("energy", _FLAT.format(energy=label, loss=term.label))


def _of_two(parts: Parts) -> Energy:
    """Return the energy of the first two events, with their conditions bound."""
    return conditioned(parts.energy, **parts.data.conditions.rows(slice(2))._asdict())


def _check_sampler(parts: Parts, refuse: Refuse) -> None:
    check = getattr(parts.sampler and parts.sampler.kernel, "check", None)
    if check is None:
        return
    try:
        with torch.no_grad(), evaluating(parts.energy):
            check(_of_two(parts), parts.data.x[:2])
    except Exception as error:
        refuse("sampler", f"{parts.label('sampler')}: {str(error) or repr(error)}", error)


def _check_chains(parts: Parts, n: int, probe: Generator, refuse: Refuse) -> None:
    data, chains = parts.data, copy.deepcopy(parts.chains)
    if chains is None:
        return
    try:
        y, mask = data.conditions.rows(slice(n))
        y = y if parts.conditional else None
        start = start_chains(chains, data.x[:n], generator=probe, y=y, mask=mask, space=data.space)
        check_start(data, start.x)
        with suppress(AttributeError, KeyError, TypeError, ValueError):  # of what no end has yet
            keep_ends(chains, start._replace(x=start.x.clone()))
        kept_by(chains)
        pack(chains.state_dict(), "state_dict")
    except PluginError as error:
        raise PluginError(f"{parts.label('chains')}: {error}") from error
    except Exception as error:
        text = str(error)
        if too_large(error):
            text = f"needs more than this machine has ({first_line(error)})"
        refuse("chains", f"{parts.label('chains')}: {text}", error)
