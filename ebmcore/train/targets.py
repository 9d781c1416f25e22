"""Which loss trains which module, and the gradient of each: it reaches nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ebmcore.config import ENERGY

if TYPE_CHECKING:
    from torch.optim import Optimizer

NORM = "train/grad_norm"  # of the energy's gradient


class Target(NamedTuple):
    """Parameters that the same losses train."""

    group: str  # whose optimiser updates them: the energy's or a network's
    parameters: tuple[nn.Parameter, ...]
    losses: tuple[int, ...]  # places of the losses
    owner: str = ""  # the loss that they belong to, if one does


class Trained(Protocol):
    """A loss as far as it decides on gradients."""

    @property
    def name(self) -> str:
        """Its name in metrics."""

    @property
    def function(self) -> object:
        """The loss itself, perhaps a module with parameters of its own."""

    @property
    def trains(self) -> tuple[str, ...]:
        """The energy and networks that it trains, by name."""


def norm_name(group: str) -> str:
    """Return the metric of the norm of a group's gradient."""
    return NORM if group == ENERGY else f"train/{group}/grad_norm"


def find_targets(
    energy: nn.Module, networks: Mapping[str, nn.Module], losses: Sequence[Trained]
) -> tuple[Target, ...]:
    """List the energy, the parameters of the losses themselves, and the networks.

    A loss's own parameters are trained by that loss, with the energy's optimiser. A parameter that
    several hold is the energy's, else the first network's.
    """
    seen: set[nn.Parameter] = set()

    def own(module: object) -> tuple[nn.Parameter, ...]:
        found = tuple(p for p in _trained(module) if p not in seen)
        seen.update(found)
        return found

    def training(name: str) -> tuple[int, ...]:
        return tuple(i for i, loss in enumerate(losses) if name in loss.trains)

    first = Target(ENERGY, own(energy), training(ENERGY))
    others = [Target(name, own(module), training(name)) for name, module in networks.items()]
    held = [set(_trained(loss.function)) for loss in losses]
    of_losses = []
    for loss in losses:
        parameters = own(loss.function)
        users = tuple(i for i, names in enumerate(held) if not names.isdisjoint(parameters))
        if parameters:
            of_losses.append(Target(ENERGY, parameters, users, loss.name))
    return (first, *of_losses, *others)


def _trained(module: object) -> Iterable[nn.Parameter]:
    if not isinstance(module, nn.Module):
        return ()
    return dict.fromkeys(p for p in module.parameters() if p.requires_grad)


def groups_of(targets: Sequence[Target]) -> dict[str, list[nn.Parameter]]:
    """Return the parameters that one optimiser updates, by the energy's or the network's name."""
    groups: dict[str, list[nn.Parameter]] = {}
    for target in targets:
        groups.setdefault(target.group, []).extend(target.parameters)
    return groups


def gradients_of(targets: Sequence[Target], values: Sequence[Tensor]) -> list[Tensor | None]:
    """Differentiate, for each target, the sum of the weighted losses that train it.

    Returns one gradient for each parameter of each target, in order; None where the sum doesn't
    depend on it. Raises ValueError when it depends on no parameter of the energy or a network.
    """
    found: list[Tensor | None] = []
    for target in targets:
        own: Sequence[Tensor | None] = [None] * len(target.parameters)
        if target.losses and target.parameters:
            total = values[target.losses[0]]
            for place in target.losses[1:]:
                total = total + values[place]
            if total.requires_grad:
                # the graphs of several targets may share nodes
                own = torch.autograd.grad(
                    total, target.parameters, retain_graph=True, allow_unused=True
                )
            if not target.owner and all(gradient is None for gradient in own):
                raise ValueError(
                    f"no loss that trains {target.group!r} depends on a weight of it; a loss says "
                    "by `trains` what it trains, and a detach or no_grad may cut the way to it"
                )
        found.extend(own)
    return found


def untrained(targets: Sequence[Target], networks: Iterable[str]) -> list[str]:
    """Name the energy and the networks that have weights to train and no loss that trains them."""
    owned = [target for target in targets if not target.owner]
    names = (ENERGY, *networks)
    return [t.group for t in owned if t.group in names and t.parameters and not t.losses]


def optimizer_label(group: str, optimizer: Optimizer) -> str:
    """Return the name of an optimiser for messages and timings."""
    kind = f"optimizer {type(optimizer).__name__}"
    return kind if group == ENERGY else f"{kind} of {group}"
