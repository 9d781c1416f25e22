"""The parts of a run, ready to train, made from a config or from Python objects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ebmcore.config import (
    ENERGY,
    Cadence,
    as_targets,
    callback_events,
    loss_slots,
    required_slots,
    trains_fault,
)
from ebmcore.contracts import Chains
from ebmcore.data.load import Data
from ebmcore.errors import ComponentError, EbmError
from ebmcore.run_contracts import Monitor
from ebmcore.sampling import Sampler, conditions_of
from ebmcore.train.targets import Target, find_targets

STEP_SIZE = "sampler.step_size"  # the name of its state, when it is a `StepSize`
OF_RANK_0 = ("monitor ", "callback ")  # begin the names of parts that rank 0 alone calls


class LossTerm(NamedTuple):
    """One summand of the objective."""

    name: str
    function: Callable[..., Any]
    weight: float
    slots: tuple[str, ...]
    label: str
    order: int = 1  # 2 when it differentiates the score
    needs_curvature: bool = False  # whether it needs a Hessian of E other than 0
    trains: tuple[str, ...] = (ENERGY,)  # the energy, or networks by name
    required: tuple[str, ...] = ()  # the slots without a default

    @classmethod
    def of(
        cls,
        name: str,
        function: Callable[..., Any],
        weight: float,
        label: str,
        *,
        networks: Collection[str] = (),
        trains: str | Sequence[str] | None = None,
    ) -> LossTerm:
        """Read the slots from the signature, and the rest from the loss's attributes.

        `trains` stands over the loss's own attribute. Raises TypeError when a parameter is neither
        a slot nor a network, or it trains what isn't there.
        """
        facts = getattr(function, "func", function)
        order = getattr(facts, "order", 1)
        curvature = getattr(facts, "needs_curvature", False)
        targets = as_targets(getattr(facts, "trains", ENERGY) if trains is None else trains)
        fault = trains_fault(targets, networks)
        if fault is not None:
            raise TypeError(f"trains: {fault}")
        slots, required = loss_slots(function, networks), required_slots(function)
        return cls(name, function, weight, slots, label, order, curvature, targets, required)


class MonitorEntry(NamedTuple):
    """A monitor and how often it runs."""

    name: str
    function: Monitor
    every: Cadence
    label: str

    def is_due(self, step: int, steps_per_epoch: int, end: bool) -> bool:
        """Whether it runs after `step` training steps; at the end each one does."""
        return end or self.every.is_due(step, steps_per_epoch)


class CallbackEntry(NamedTuple):
    """A callback and the events that it is called at."""

    name: str
    callback: Any
    label: str
    events: tuple[str, ...]

    @classmethod
    def of(cls, name: str, callback: Any, label: str) -> CallbackEntry:
        """Find its events. Raises TypeError when it has none, or a method that can't be called."""
        return cls(name, callback, label, callback_events(callback))


@dataclass(kw_only=True)
class Parts:
    """The objects that a training step and its monitors use, on one device."""

    data: Data
    energy: nn.Module
    losses: tuple[LossTerm, ...]
    optimizer: Optimizer
    device: torch.device
    sampler: Sampler | None = None
    chains: Chains | None = None
    lr_scheduler: LRScheduler | None = None
    lr_interval: str = "epoch"
    lr_metric: str | None = None  # that the schedule follows, in place of an interval
    monitors: tuple[MonitorEntry, ...] = ()
    callbacks: tuple[CallbackEntry, ...] = ()
    networks: dict[str, nn.Module] = field(default_factory=dict)
    optimizers: dict[str, Optimizer] = field(default_factory=dict)  # of the trained networks
    labels: dict[str, str] = field(default_factory=dict)  # kind -> the part, for messages

    @property
    def needs_samples(self) -> bool:
        """Whether a loss names `x_neg`."""
        return any("x_neg" in term.slots for term in self.losses)

    @property
    def conditional(self) -> bool:
        """Whether the energy requires a condition y, so that each chain has one."""
        taken = conditions_of(self.energy)
        return taken is not None and "y" in taken.required

    @property
    def modules(self) -> list[nn.Module]:
        """The energy, the networks, and the losses that are modules."""
        losses = [t.function for t in self.losses if isinstance(t.function, nn.Module)]
        return [self.energy, *self.networks.values(), *losses]

    @property
    def targets(self) -> tuple[Target, ...]:
        """The energy, with the losses' own parameters, and the networks, and what trains each."""
        return find_targets(self.energy, self.networks, self.losses)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that optimisers update: the energy's, the losses' own, the networks'."""
        return [parameter for target in self.targets for parameter in target.parameters]

    @property
    def every_optimizer(self) -> dict[str, Optimizer]:
        """The optimisers of the energy and of the networks, by target."""
        return {ENERGY: self.optimizer, **self.optimizers}

    @property
    def buffers(self) -> list[Tensor]:
        """The buffers that a forward pass may write to, such as running means."""
        return list(dict.fromkeys(b for module in self.modules for b in module.buffers()))

    @property
    def stateful(self) -> list[tuple[str, Any]]:
        """The parts besides energy and chains that have a state to save, each with a name."""
        found = [
            ("sampler", self.sampler and self.sampler.kernel),
            (STEP_SIZE, self.sampler and getattr(self.sampler.kernel, "step_size", None)),
            *((f"loss {term.name}", term.function) for term in self.losses),
            *((f"monitor {entry.name}", entry.function) for entry in self.monitors),
            *((f"callback {entry.name}", entry.callback) for entry in self.callbacks),
        ]
        methods = ("state_dict", "load_state_dict")
        return [(name, part) for name, part in found if all(hasattr(part, m) for m in methods)]

    def label(self, kind: str) -> str:
        """Return the name of the part of a kind, with its plugin if it has one."""
        return self.labels.get(kind, kind)


@contextmanager
def blame(part: str, step: int) -> Iterator[None]:
    """Turn an error of a part into a ComponentError that names the part and the step, from 1."""
    try:
        yield
    except EbmError:
        raise
    except (Exception, SystemExit) as error:
        raise ComponentError(part, step, error) from error


def is_flat(energy: nn.Module) -> bool:
    """Whether an energy, or a trained part of it, declares `piecewise_linear`."""
    return any(
        getattr(module, "piecewise_linear", False)
        and any(parameter.requires_grad for parameter in module.parameters())
        for module in energy.modules()
    )


def name_of(function: Any, taken: Sequence[str]) -> str:
    """Return an object's name for metrics, numbered if the name is taken."""
    function = getattr(function, "func", function)
    name = str(getattr(function, "__name__", type(function).__name__)).strip("<>")
    number = 1 + sum(other == name or other.startswith(f"{name}_") for other in taken)
    return name if number == 1 else f"{name}_{number}"
