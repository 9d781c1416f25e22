"""Right components that a suite could blame for its own narrowness."""

from typing import Any, NamedTuple

import torch
from kit_faults.fault import Fault
from kit_faults.samplers import MALA, ULA, State

from ebmcore import Kernel, energy_and_score


class Flagged(NamedTuple):
    x: Any
    accepted: Any
    taken: Any


class KeepsFlags(MALA):
    """Its state holds a bool and an int of each chain."""

    n_steps = 2

    def init(self, energy, x):
        zeros = x.new_zeros(len(x))
        return Flagged(x, zeros.bool(), zeros.long())

    def step(self, energy, state, noise):
        moved, info = super().step(energy, state, noise)
        changed = (moved.x != state.x).flatten(1).any(1)
        return Flagged(moved.x, changed, state.taken + 1), info


class SharesAnOrder(ULA):
    """Its noise holds one order of an event's numbers, for all chains: here as long as a batch."""

    check_event_shapes, n_steps = ((6,),), 2

    def noise(self, x, generator):
        order = torch.randperm(x[0].numel(), generator=generator, device=x.device)
        return (*super().noise(x, generator), order)

    def step(self, energy, state, noise):
        return super().step(energy, state, (noise[0][:, noise[1]],))


class LeavesNoiseOfChainsBehind(ULA):
    """Its noise holds the chains on the second axis."""

    n_steps = 2

    def noise(self, x, generator):
        return (super().noise(x, generator)[0].transpose(0, 1).contiguous(),)

    def step(self, energy, state, noise):
        return super().step(energy, state, (noise[0].transpose(0, 1),))


class HeatBath(Kernel):
    """Draws each number from its conditional law, exact where that is Gaussian, by E alone."""

    n_steps = 2

    def stationary_variance(self, scale):
        return scale**2

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device),)

    def step(self, energy, state, noise):
        x = state.x.flatten(1)
        fresh = noise[0].flatten(1)
        for i in range(x.shape[1]):
            axis = torch.arange(x.shape[1], device=x.device) == i
            low, middle, high = (
                energy(torch.where(axis, at, x).reshape(state.x.shape)).detach()
                for at in (-1.0, 0.0, 1.0)
            )
            precision, slope = high + low - 2 * middle, (high - low) / 2
            drawn = -slope / precision + fresh[:, i] / precision.sqrt()
            x = torch.where(axis, drawn[:, None], x)
        return State(x.reshape(state.x.shape)), None


class DrawsAnewByScores(HeatBath):
    """Draws all numbers at once, independent ones, by two scores at 0 and 1."""

    def step(self, energy, state, noise):
        zeros = torch.zeros_like(state.x)
        at_0, at_1 = (energy_and_score(energy, zeros + shift)[1] for shift in (0.0, 1.0))
        precision = at_0 - at_1
        return State(at_0 / precision + noise[0] / precision.sqrt()), None


class LosesTheVariance(HeatBath):
    def step(self, energy, state, noise):
        return super().step(energy, state, (1.1 * noise[0],))


class UnbiasedOnGaussiansAlone(HeatBath):
    """A fault: it promises more than it keeps."""

    unbiased = True


def reads_the_dataset(view):
    """A monitor that compares the samples with points of the dataset, as `Dataset` says."""
    return {"rows": len(view.dataset()), "mean": view.dataset.log_prob(view.data).mean()}


FAULTS = (
    Fault("sampler", LosesTheVariance, "stationary", HeatBath),
    Fault("sampler", UnbiasedOnGaussiansAlone, "stationary_on_two_wells", MALA),
)
RIGHT = (
    ("sampler", KeepsFlags),
    ("sampler", SharesAnOrder),
    ("sampler", LeavesNoiseOfChainsBehind),
    ("sampler", DrawsAnewByScores),
    ("monitor", reads_the_dataset),
)
