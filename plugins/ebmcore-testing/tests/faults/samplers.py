"""Wrong samplers, and the right ones: ULA, MALA and HMC."""

import math
from typing import Any, NamedTuple

import torch
from kit_faults.fault import Fault

from ebmcore import Kernel, energy_and_score


class State(NamedTuple):
    x: Any


class DecayingState(NamedTuple):
    x: Any
    taken: Any


class Info(NamedTuple):
    energy: Any


class ULA(Kernel):
    """A right one: its bias is declared."""

    implied_temperature = 1.0
    step_size = 0.02

    def stationary_variance(self, scale):
        share = self.step_size / (2 * scale**2)
        return scale**2 / (1 - share) if share < 1 else math.inf

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device),)

    def spread(self):
        return math.sqrt(2 * self.step_size)

    def step(self, energy, state, noise):
        values, score = energy_and_score(energy, state.x)
        x = state.x + self.step_size * score + self.spread() * noise[0]
        return State(x), Info(values)


class NoiseOfHalfTheVariance(ULA):
    def spread(self):
        return math.sqrt(self.step_size)


class BiasNotDeclared(ULA):
    stationary_variance = None


class ClimbsTheEnergy(ULA):
    def step(self, energy, state, noise):
        return super().step(lambda x: -energy(x), state, noise)


class DrawsFromTheGlobalStream(ULA):
    def noise(self, x, generator):
        return (torch.randn_like(x),)


class SaysAnotherTemperature(ULA):
    def __init__(self):
        self.implied_temperature = 0.5


class DoesNotSayItsTemperature(ULA):
    implied_temperature = None

    def stationary_variance(self, scale):
        return 0.5 * super().stationary_variance(scale)

    def spread(self):
        return math.sqrt(self.step_size)


class LawOfNoWord(ULA):
    def stationary_variance(self, scale):
        return None


class Decays(LawOfNoWord):
    """A right one: its law depends on the steps taken."""

    unknown_law = "its steps decay"

    def init(self, energy, x):
        return DecayingState(x, x.new_zeros(len(x)))

    def step(self, energy, state, noise):
        values, score = energy_and_score(energy, state.x)
        size = self.step_size / (1 + state.taken[:, None]) ** 0.6
        x = state.x + size * score + (2 * size).sqrt() * noise[0]
        return DecayingState(x, state.taken + 1), Info(values)


class ClipsItsScore(Decays):
    init = ULA.init

    def step(self, energy, state, noise):
        values, score = energy_and_score(energy, state.x)
        x = state.x + self.step_size * score.clamp(-1, 1) + self.spread() * noise[0]
        return State(x), Info(values)


class StaysInABox(ULA):
    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        return State(state.x.clamp(-3, 3)), info


class GathersGradients(ULA):
    def step(self, energy, state, noise):
        x = state.x.detach().requires_grad_()
        values = energy(x)
        values.sum().backward()
        x = state.x - self.step_size * x.grad + self.spread() * noise[0]
        return State(x), Info(values.detach())


class SwitchesTheMode(ULA):
    def init(self, energy, x):
        energy.eval()
        return State(x)


class MovesXInPlace(ULA):
    def step(self, energy, state, noise):
        values, score = energy_and_score(energy, state.x)
        state.x.add_(self.step_size * score + self.spread() * noise[0])
        return State(state.x), Info(values)


class NormalisesByTheBatch(ULA):
    def step(self, energy, state, noise):
        values, score = energy_and_score(energy, state.x)
        x = state.x + self.step_size * score / score.norm() + self.spread() * noise[0]
        return State(x), Info(values)


class HidesInfinities(ULA):
    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        values = torch.nan_to_num(info.energy, 0.0, 0.0, 0.0)
        return State(torch.nan_to_num(state.x, 0.0, 0.0, 0.0)), Info(values)


class LooksAtAValue(ULA):
    def step(self, energy, state, noise):
        state, info = super().step(energy, state, noise)
        return (state, info) if info.energy.max().item() < 1e9 else (state, None)


class NeverMoves(ULA):
    stationary_variance = None

    def step(self, energy, state, noise):
        return state, Info(energy(state.x).detach())


class MALA(ULA):
    """A right one: exact, whatever the step."""

    step_size = 0.3
    stationary_variance = None

    def noise(self, x, generator):
        u = torch.rand(len(x), generator=generator, dtype=x.dtype, device=x.device)
        return (*super().noise(x, generator), u)

    def step(self, energy, state, noise):
        x = state.x
        values, score = energy_and_score(energy, x)
        y = x + self.step_size * score + self.spread() * noise[0]
        new_values, new_score = energy_and_score(energy, y)
        back = x - y - self.step_size * new_score
        forth = y - x - self.step_size * score
        gap = (back.square() - forth.square()).flatten(1).sum(1) / (4 * self.step_size)
        log_ratio = values - new_values - self.proposal(gap)
        accepted = noise[1].log() < log_ratio
        where = accepted.view(-1, *(1 for _ in x.shape[1:]))
        return State(torch.where(where, y, x)), Info(values)

    def proposal(self, gap):
        return gap


class MALAWithoutProposalRatio(MALA):
    def proposal(self, gap):
        return torch.zeros_like(gap)


class HMC(Kernel):
    """A right one."""

    step_size, leaps = 0.3, 5

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        p = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return p, torch.rand(len(x), generator=generator, dtype=x.dtype, device=x.device)

    def step(self, energy, state, noise):
        x, (p, u) = state.x, noise
        before, score = energy_and_score(energy, x)
        kinetic = p.square().flatten(1).sum(1) / 2
        for _ in range(self.leaps):
            p = p + self.step_size / 2 * score
            x = x + self.step_size * p
            after, score = energy_and_score(energy, x)
            p = p + self.step_size / 2 * score
        gained = after - before + p.square().flatten(1).sum(1) / 2 - kinetic
        accepted = self.accept(u, gained).view(-1, *(1 for _ in x.shape[1:]))
        return State(torch.where(accepted, x, state.x)), Info(before)

    def accept(self, u, gained):
        return u.log() < -gained


class HMCWithoutMetropolis(HMC):
    def accept(self, u, gained):
        return torch.ones_like(u, dtype=torch.bool)


FAULTS = (
    Fault("sampler", NoiseOfHalfTheVariance, "stationary", ULA),
    Fault("sampler", BiasNotDeclared, "stationary", ULA),
    Fault("sampler", ClimbsTheEnergy, "stationary", ULA),
    Fault("sampler", MALAWithoutProposalRatio, "stationary", MALA),
    Fault("sampler", MALAWithoutProposalRatio, "stationary_on_two_wells", MALA),
    Fault("sampler", HMCWithoutMetropolis, "stationary", HMC),
    Fault("sampler", HMCWithoutMetropolis, "stationary_on_two_wells", HMC),
    Fault("sampler", NeverMoves, "stationary", ULA),
    Fault("sampler", DrawsFromTheGlobalStream, "global_stream_untouched", ULA),
    Fault("sampler", DrawsFromTheGlobalStream, "reproducible", ULA),
    Fault("sampler", SaysAnotherTemperature, "temperature", ULA),
    Fault("sampler", DoesNotSayItsTemperature, "temperature", ULA),
    Fault("sampler", LawOfNoWord, "stationary", ULA),
    Fault("sampler", ClipsItsScore, "temperature", Decays),
    Fault("sampler", StaysInABox, "temperature", ULA),
    Fault("sampler", GathersGradients, "energy_untouched", ULA),
    Fault("sampler", SwitchesTheMode, "energy_untouched", ULA),
    Fault("sampler", MovesXInPlace, "input_untouched", ULA),
    Fault("sampler", NormalisesByTheBatch, "chains_independent", ULA),
    Fault("sampler", HidesInfinities, "infinite_energy", ULA),
    Fault("sampler", LooksAtAValue, "compiled", ULA),
)
