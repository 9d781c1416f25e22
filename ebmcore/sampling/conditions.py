"""Conditional energies: which conditions an energy takes, and an energy with its conditions bound.

A condition is a parameter of an energy's `forward` beside x: `y` (a label, an observation, a
context), `t` (a noise level) or `mask` (the steps of a sequence that count), each with one row for
each event. Without a default the energy requires it: it is conditional, and a run binds it wherever
it calls the energy. A run binds the data's mask with a default, too.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebmcore.contracts import Conditions, Energy
from ebmcore.sampling.at_temperature import AtTemperature
from ebmcore.sampling.energy_checks import Differentiable, EnergyWrapper, module_of

MASK = "mask"
CONDITIONS = ("y", "t", MASK)


class Taken(NamedTuple):
    """The conditions that an energy takes."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    named: tuple[str, ...] = ()  # those that its signature names: **keywords take all, unnamed


class Given(EnergyWrapper):
    """An energy of x alone: `energy(x, y=y, …)` with its conditions bound; made by `given`.

    Its parameters, modules and other methods are those of the energy.
    """

    def __init__(self, energy: Any, conditions: dict[str, Any]) -> None:
        super().__init__(energy)
        self.conditions = conditions
        self.keeps_graph = getattr(energy, "keeps_graph", False)

    def __call__(self, x: Tensor) -> Tensor:
        """Return E(x, …), (batch, *event) -> (batch,)."""
        bound = {name: one_each(name, value, x) for name, value in self.conditions.items()}
        values: Tensor = self.energy(x, **bound)
        return values

    def of_rows(self, rows: slice) -> Given:
        """Return the energy with the conditions of some rows."""
        of = {k: v[rows] if getattr(v, "ndim", 0) else v for k, v in self.conditions.items()}
        return Given(self.energy, of)

    def __getattr__(self, name: str) -> Any:
        """Return the energy's own attribute."""
        if name in ("energy", "conditions", "keeps_graph"):  # while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.energy, name)


def given(energy: Energy, **conditions: Any) -> Energy:
    """Bind conditions to an energy: return x ↦ energy(x, y=y, …), to sample or to evaluate.

        x = sample_chain(kernel, given(energy, y=torch.full((100,), 3)), x)

    A condition is a tensor with one row for each event of the batch, (batch, …), or a number, which
    all events share; None binds nothing. Gradients reach the energy's parameters and the bound
    tensors. With nothing to bind, it returns the energy itself.

    Raises TypeError when the energy takes no such condition; calls raise ValueError when a
    condition has another number of rows than the batch.
    """
    bound = {name: value for name, value in conditions.items() if value is not None}
    if not bound:
        return energy
    taken = conditions_of(energy)
    for name in bound:
        if taken is not None and name not in (*taken.required, *taken.optional):
            kind = type(module_of(energy) or energy).__name__
            raise TypeError(f"energy {kind} takes no {name!r}, so none can be bound to it")
    if isinstance(energy, Given):
        return Given(energy.energy, {**energy.conditions, **bound})
    return Given(energy, bound)


def conditioned(energy: Energy, **conditions: Any) -> Energy:
    """Bind those of the conditions that the energy requires, and a mask if it takes one.

    So a loss of `y` and `energy` treats every energy rightly: E(x, y) of a conditional one, and
    E(x) where y is optional, as in a `classifier`, or no parameter of the energy at all.
    """
    taken = conditions_of(energy)
    if taken is None:
        return energy
    bound = (*taken.required, *([MASK] if MASK in taken.named else []))
    return given(energy, **{name: v for name, v in conditions.items() if name in bound})


def takes_mask(energy: Any) -> bool:
    """Tell whether an energy names a mask in its signature."""
    taken = conditions_of(energy)
    return taken is not None and MASK in taken.named


def of_chains(energy: Energy, conditions: Conditions) -> Energy:
    """Bind the conditions that chains have: their y, and their mask if the energy takes one."""
    mask = conditions.mask if conditions.mask is not None and takes_mask(energy) else None
    return given(energy, y=conditions.y, mask=mask)


def replicated(energy: Energy, n: int) -> Energy:
    """Return an energy for n events a chain, such as replicas: each has its chain's condition.

    Shapes: the events are (chains, n, *event), flattened to (chains · n, *event). An energy with
    nothing bound is returned as it is.
    """
    if isinstance(energy, Differentiable):
        return Differentiable(replicated(energy.energy, n))
    if isinstance(energy, AtTemperature):
        return energy.of(replicated(energy.energy, n), lambda row: row.repeat_interleave(n, 0))
    if not isinstance(energy, Given):
        return energy
    return Given(
        energy.energy,
        {
            name: value.repeat_interleave(n, 0) if getattr(value, "ndim", 0) else value
            for name, value in energy.conditions.items()
        },
    )


def conditions_of(energy: Any) -> Taken | None:
    """Return the conditions that an energy takes; None when its signature can't be read."""
    if isinstance(energy, EnergyWrapper):
        inner = conditions_of(energy.energy)
        if inner is None or not isinstance(energy, Given):
            return inner
        required = tuple(name for name in inner.required if name not in energy.conditions)
        optional = (*inner.optional, *(set(inner.required) - set(required)))
        return Taken(required, optional, inner.named)
    if not isinstance(energy, nn.Module):
        return _read(energy)
    if "forward" in energy.__dict__:  # of this one alone, not of its class
        return _read(energy.forward)
    kind = type(energy)
    if kind not in _TAKEN:
        _TAKEN[kind] = _read(energy.forward)
    return _TAKEN[kind]


def energy_alone(energy: Any) -> Any:
    """Return an energy without what was bound to it."""
    return energy.energy if isinstance(energy, Given) else energy


def conditions_bound(energy: Any) -> dict[str, Any]:
    """Return what was bound to an energy."""
    return dict(energy.conditions) if isinstance(energy, Given) else {}


def one_each(name: str, value: Any, x: Tensor) -> Tensor:
    """Return a condition with a row for each event of x: a number is repeated."""
    if not isinstance(value, Tensor):
        whole = isinstance(value, int)
        return torch.full(x.shape[:1], value, device=x.device, dtype=None if whole else x.dtype)
    if value.ndim == 0:
        return value.expand(x.shape[:1])
    if value.shape[0] != x.shape[0]:
        raise ValueError(
            f"the energy was given {name!r} for {value.shape[0]} events and called with "
            f"{x.shape[0]}; bind one row for each event of the batch"
        )
    return value


_TAKEN: dict[type, Taken | None] = {}  # by class: a traced loss can't read signatures


def _read(function: Any) -> Taken | None:
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):
        return None
    found = [p for name, p in parameters.items() if name in CONDITIONS]
    named = tuple(p.name for p in found)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return Taken((), CONDITIONS, named)
    required = tuple(p.name for p in found if p.default is p.empty)
    return Taken(required, tuple(name for name in named if name not in required), named)
