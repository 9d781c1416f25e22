"""A kernel that carries a momentum, and its faults."""

from typing import Any, NamedTuple

import torch
from kit_faults.fault import Fault
from kit_faults.samplers import ULA


class Momentum(NamedTuple):
    x: Any
    momentum: Any


class Carries(ULA):
    """A right one: a momentum that outlives a run, and moves nothing."""

    carries, n_steps = ("momentum",), 2

    def init(self, energy, x, generator, carried):
        new = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        return Momentum(x, self.begin(carried, new))

    def begin(self, carried, new):
        return carried.or_new("momentum", new)

    def step(self, energy, state, noise):
        moved, info = super().step(energy, state, noise)
        return Momentum(moved.x, 0.5 * state.momentum + noise[0]), info


class CarriesAFieldItLacks(Carries):
    carries = ("momenta",)


class CarriesOneForAllChains(Carries):
    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        return state._replace(momentum=state.momentum.mean(0)), info


class IgnoresTheCarried(Carries):
    def begin(self, carried, new):
        return new


class CarriesForFreshChains(Carries):
    def begin(self, carried, new):
        return carried.fields.get("momentum", new)


FAULTS = (
    Fault("sampler", CarriesAFieldItLacks, "carried_fields", Carries),
    Fault("sampler", CarriesOneForAllChains, "carried_fields", Carries),
    Fault("sampler", IgnoresTheCarried, "carried_is_used", Carries),
    Fault("sampler", CarriesForFreshChains, "carried_is_used", Carries),
)
