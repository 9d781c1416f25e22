"""Parts that can be built and don't fit each other: an energy, its losses and the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ebmcore.sampling import conditions_of
from ebmcore.train.components import Parts, is_flat

_FLAT = (
    "{energy} is piecewise linear in x, or a trained part of it is, so the trace of its Hessian is "
    "0 almost everywhere and {loss} would only flatten it; take a smooth activation, such as silu, "
    "softplus or tanh"
)
_UNBOUND = (
    "{energy} requires `{name}`, which a run doesn't bind: give `{name}` a default, for what "
    "monitors and samplers see"
)
_NO_LABELS = "{part} requires labels `y`, and the data have none"


class Misfit(NamedTuple):
    """A key of the config, and the sentence that says what doesn't fit there."""

    path: str
    message: str


def without_conditions(parts: Parts) -> Iterator[Misfit]:
    """Find conditions that the energy or a loss requires, and the run doesn't have."""
    taken = conditions_of(parts.energy)
    energy = parts.label("energy")
    for name in () if taken is None else taken.required:
        if name != "y":
            yield Misfit("energy", _UNBOUND.format(energy=energy, name=name))
        elif parts.data.y is None:
            yield Misfit("energy", _NO_LABELS.format(part=energy))
    for term in parts.losses:
        if "y" in term.required and parts.data.y is None:
            yield Misfit("loss", _NO_LABELS.format(part=term.label))


def without_curvature(parts: Parts) -> Iterator[Misfit]:
    """Find losses that need the Hessian of an energy that has none."""
    for term in parts.losses:
        if term.needs_curvature and is_flat(parts.energy):
            energy = parts.label("energy")
            yield Misfit("energy", _FLAT.format(energy=energy, loss=term.label))
