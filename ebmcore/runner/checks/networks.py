"""Checks of an experiment's networks: their names, what trains them, their optimisers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from torch import nn
from torch.optim import Optimizer

from ebmcore.config import ENERGY, choices, name_fault
from ebmcore.train.components import Parts
from ebmcore.train.targets import groups_of, untrained

Refuse = Callable[[str, str], NoReturn]  # a place in a config, and why


def check_networks(networks: Mapping[str, Any], refuse: Refuse) -> dict[str, nn.Module]:
    """Return the networks; refuse a bad name and anything but a module."""
    for name, network in networks.items():
        fault = name_fault(name)
        if fault is not None:
            refuse(f"networks.{name}", fault)
        if not isinstance(network, nn.Module):
            refuse(f"networks.{name}", f"should be an nn.Module; got {network!r:.80}")
    return dict(networks)


def choose_optimizers(
    common: Any,
    own: Mapping[str, Any],
    networks: Mapping[str, nn.Module],
    groups: Mapping[str, Sequence[nn.Parameter]],
    refuse: Refuse,
) -> Iterator[tuple[str, str, Any]]:
    """Yield each network with weights to train, the place of its optimiser, and what makes it."""
    for name in own:
        if name not in networks:
            refuse(f"optimizers.{name}", f"no such network; {choices(name, tuple(networks))}")
    for name in networks:
        if not groups[name]:
            continue
        if name not in own and isinstance(common, Optimizer):
            refuse(
                "optimizers",
                f"`optimizer` is an object that was made for the energy; give network {name!r} one "
                f"of its own: optimizers={{{name!r}: …}}",
            )
        yield name, f"optimizers.{name}" if name in own else "optimizer", own.get(name, common)


def check_training(parts: Parts, refuse: Refuse) -> list[str]:
    """Refuse losses that train nothing, and optimisers that share weights; return warnings."""
    if not parts.networks:
        return []
    groups = groups_of(parts.targets)
    for term in parts.losses:
        empty = [name for name in term.trains if not groups[name]]
        if empty:
            refuse("loss", f"{term.label} trains {empty[0]!r}, which has no weight of its own")
    for name, optimizer in parts.every_optimizer.items():
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for other, parameters in groups.items():
            if other != name and any(id(p) in held for p in parameters):
                place = "optimizer" if name == ENERGY else f"optimizers.{name}"
                refuse(place, f"holds weights of {other!r}, which has an optimiser of its own")
    return [
        f"no loss trains {name!r}, so its weights stay as they are; a loss trains what its "
        f"attribute or key `trains` names"
        for name in untrained(parts.targets, parts.networks)
    ]
