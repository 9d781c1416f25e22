"""Kernels that aren't pure, and right ones that remember openly or have an info of more axes."""

from typing import Any, NamedTuple

import torch
from kit_faults.fault import Fault
from kit_faults.samplers import ULA, Info, State


class WritesToItsState(ULA):
    def init(self, energy, x):
        return State(x.clone())

    def step(self, energy, state, noise):
        moved, info = super().step(energy, state, noise)
        state.x.copy_(moved.x)
        return State(state.x), info


class WritesToItsNoise(ULA):
    def step(self, energy, state, noise):
        noise[0].mul_(self.spread())
        return super().step(energy, state, (noise[0] / self.spread(),))


class WritesToTheXOfInit(ULA):
    def init(self, energy, x):
        self.begun = x
        return State(x.clone())

    def step(self, energy, state, noise):
        moved, info = super().step(energy, state, noise)
        self.begun.copy_(moved.x)
        return moved, info


class ReadsAnItem(ULA):
    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        return self.read(state, info)

    def read(self, state, info):
        info.energy.mean().item()
        return state, info


class ReadsAList(ReadsAnItem):
    def read(self, state, info):
        info.energy.tolist()
        return state, info


class ReadsOnTheHost(ReadsAnItem):
    def read(self, state, info):
        info.energy.cpu()
        return state, info


class ReadsAnArray(ReadsAnItem):
    def read(self, state, info):
        info.energy.numpy()
        return state, info


class BranchesOnAValue(ReadsAnItem):
    def read(self, state, info):
        return (state, info) if info.energy.isfinite().all() else (state, None)


class SelectsByAMask(ReadsAnItem):
    def read(self, state, info):
        self.positive = info.energy[info.energy > 0]
        return state, info


class MakesATensor(ReadsAnItem):
    def read(self, state, info):
        return State(state.x * torch.tensor(1.0, device=state.x.device)), info


class Counts(ULA):
    """A fault: each call takes a smaller step than the last."""

    calls = 0

    def step(self, energy, state, noise):
        self.calls += 1
        self.step_size = 0.02 / self.calls
        return super().step(energy, state, noise)


class CountsFromInit(Counts):
    def init(self, energy, x):
        self.calls += 1
        return super().init(energy, x)

    def step(self, energy, state, noise):
        return ULA.step(self, energy, State(state.x * (1 - 1e-9 * self.calls)), noise)


class RemembersTheFirstX(ULA):
    first = None

    def init(self, energy, x):
        self.first = x.mean() if self.first is None else self.first
        return State(x + self.first)


class CountsOpenly(Counts):
    """A right one: it offers its memory, and makes no promise of a law."""

    implied_temperature = None
    unknown_law = "the first call moves all chains"

    def stationary_variance(self, scale):
        return None

    def noise(self, x, generator):
        self.calls += 1
        return super().noise(x, generator)

    def step(self, energy, state, noise):
        self.step_size = 0.02
        return ULA.step(self, energy, State(state.x + 0.001 * min(self.calls, 1)), noise)

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]


class Wide(NamedTuple):
    energy: Any
    ladder: Any

    axes = {"ladder": ("replica", "chains")}  # noqa: RUF012 (NamedTuples have no ClassVar)


class WideInfo(ULA):
    """A right one: its info declares an axis of its own."""

    n_steps = 2

    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        return state, Wide(info.energy, torch.stack([info.energy, info.energy / 2]))


class WideInfoTransposed(WideInfo):
    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        return state, info._replace(ladder=info.ladder.T)


class InfoOfText(ULA):
    def step(self, energy, state, noise):
        return super().step(energy, state, noise)[0], Info("moved")


class InfoOfANumber(ULA):
    def step(self, energy, state, noise):
        return super().step(energy, state, noise)[0], Info(0.5)


class InfoOfThree(ULA):
    def step(self, energy, state, noise):
        return super().step(energy, state, noise)[0], Info(torch.zeros(3, dtype=state.x.dtype))


class InfoOfTheBatch(ULA):
    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        return state, Info(info.energy.mean())


class InfoOfAMapping(ULA):
    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        return state, {"energy": info.energy}


FAULTS = (
    Fault("sampler", WritesToItsState, "writes_to_nothing", ULA),
    Fault("sampler", WritesToItsNoise, "writes_to_nothing", ULA),
    Fault("sampler", WritesToTheXOfInit, "writes_to_nothing", ULA),
    *(
        Fault("sampler", reads, check, ULA)
        for check in ("reads_no_value", "no_host_sync")
        for reads in (
            ReadsAnItem,
            ReadsAList,
            ReadsOnTheHost,
            ReadsAnArray,
            BranchesOnAValue,
            SelectsByAMask,
        )
    ),
    Fault("sampler", MakesATensor, "no_host_sync", ULA),
    Fault("sampler", Counts, "remembers_nothing", CountsOpenly),
    Fault("sampler", CountsFromInit, "remembers_nothing", ULA),
    Fault("sampler", RemembersTheFirstX, "remembers_nothing", ULA),
    Fault("sampler", InfoOfText, "info", ULA),
    Fault("sampler", InfoOfANumber, "info", ULA),
    Fault("sampler", InfoOfThree, "info", ULA),
    Fault("sampler", InfoOfTheBatch, "info", ULA),
    Fault("sampler", InfoOfAMapping, "info", ULA),
    Fault("sampler", WideInfoTransposed, "info", WideInfo),
)
