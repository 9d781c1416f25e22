"""Wrong components, each with the one fault that its name tells, and the right ones beside them."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ebmcore import Chains, Kernel, energy_and_score, loss

# --- energies


class Net(nn.Module):
    """A right one: smooth, each event by itself, everything registered."""

    def __init__(self, event_shape):
        super().__init__()
        self.layers = self.make(torch.Size(event_shape).numel())

    def make(self, size):
        return nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.SiLU(), nn.Linear(8, 1))

    def forward(self, x):
        return self.layers(x).squeeze(1)


class BatchNorm(Net):
    def make(self, size):
        return nn.Sequential(super().make(size)[:2], nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 1))


class DimensionKept(Net):
    def forward(self, x):
        return self.layers(x)


class SqueezesABatchOfOne(Net):
    def forward(self, x):
        return self.layers(x).squeeze()


class CentresTheBatch(Net):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class WeightsNotRegistered(Net):
    def __init__(self, event_shape):
        super().__init__(event_shape)
        self.mean = [torch.randn(event_shape)]

    def forward(self, x):
        return super().forward(x - self.mean[0].to(x))


class ConstantOnTheCPU(Net):
    def forward(self, x):
        return super().forward(x * torch.full(x.shape, 2.0, device="cpu", dtype=x.dtype))


class ConstantInFloat32(Net):
    def forward(self, x):
        return super().forward(x).float()


class DetachedInside(Net):
    def forward(self, x):
        return super().forward(x) + x.detach().square().flatten(1).sum(1)


class KinkedUndeclared(Net):
    def make(self, size):
        return nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.ReLU(), nn.Linear(8, 1))


class WritesToX(Net):
    def forward(self, x):
        return super().forward(x.clamp_(-0.1, 0.1) if not x.requires_grad else x)


# --- samplers


class State(NamedTuple):
    x: Any


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


# --- losses


def gap(energy, x, x_neg):
    """A right one."""
    return energy(x).mean() - energy(x_neg.detach()).mean()


def gap_with_the_sign_reversed(energy, x, x_neg):
    return energy(x_neg.detach()).mean() - energy(x).mean()


def gap_of_each_event(energy, x, x_neg):
    return energy(x) - energy(x_neg)


def gap_and_penalty_undeclared(energy, x, x_neg):
    return gap(energy, x, x_neg) + 0.1 * energy(x).square().mean()


def gap_that_calls_backward(energy, x, x_neg):
    value = gap(energy, x, x_neg)
    value.backward(retain_graph=True)
    return value


def gap_with_global_noise(energy, x, x_neg):
    return gap(energy, x + 0.1 * torch.randn_like(x), x_neg)


def gap_that_is_cut(energy, x, x_neg):
    return gap(energy, x, x_neg).detach() + 0 * energy(x).mean()


@loss(regulariser=True, shift_invariant=False)
def penalty(energy, x):
    """A right one, that says what it is."""
    return energy(x).square().mean()


def _denoising(energy, x, generator, sigma, sign=1.0, create_graph=True):
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    noised = (x + sigma * noise).requires_grad_()
    (slope,) = torch.autograd.grad(energy(noised).sum(), noised, create_graph=create_graph)
    value = 0.5 * (sigma * slope - sign * noise).square().flatten(1).sum(1).mean()
    return value if create_graph else value + 0 * energy(x).mean()


class Denoising:
    """A right one."""

    sign, create_graph = 1.0, True

    def __init__(self, sigma: float = 0.5):
        self.sigma = sigma

    def fitted_scale(self, scale):
        return math.hypot(scale, self.sigma)

    def __call__(self, energy, x, generator):
        return _denoising(energy, x, generator, self.sigma, self.sign, self.create_graph)


class DenoisingWithTheSignLost(Denoising):
    sign = -1.0


class DenoisingWithoutCreateGraph(Denoising):
    create_graph = False


class DenoisingThatForgetsItsBlur(Denoising):
    fitted_scale = None


def score_matching(energy, x):
    """A right one: ½‖∇E‖² - ΔE."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    trace = sum(
        torch.autograd.grad(slope[:, i].sum(), x, create_graph=True)[0][:, i]
        for i in range(x.shape[1])
    )
    return (0.5 * slope.square().sum(1) - trace).mean()


def score_matching_without_the_trace(energy, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    return 0.5 * slope.square().sum(1).mean()


def gap_that_asks_the_data_for_gradients(energy, x, x_neg):
    return gap(energy, x.requires_grad_(), x_neg)


# --- chains


class Persistent(Chains):
    """A right one: a random subset, each back to its slot."""

    size = 40

    def __init__(self):
        self.x = None

    def pick(self, n, generator):
        return torch.randperm(self.size, generator=generator)[:n]

    def start(self, x, generator):
        if self.x is None:
            shape = (self.size, *x.shape[1:])
            self.x = torch.randn(shape, generator=generator, dtype=x.dtype)
        self.slots = self.pick(len(x), generator)
        return self.x.to(x.device)[self.slots.to(x.device)]

    def keep(self, x_end):
        self.x[self.slots] = x_end

    def kept(self):
        return self.x

    def state_dict(self):
        return {"x": self.x.clone(), "slots": self.slots.clone()}

    def load_state_dict(self, state):
        self.x, self.slots = state["x"], state["slots"]


class AliasesItsBuffer(Persistent):
    def start(self, x, generator):
        super().start(x, generator)
        self.slots = torch.arange(len(x))
        return self.x.to(x.device)[: len(x)]


class AliasesTheData(Persistent):
    def start(self, x, generator):
        super().start(x, generator)
        return x


class WritesToTheFirstSlots(Persistent):
    def keep(self, x_end):
        self.x[: len(x_end)] = x_end


class PicksAChainTwice(Persistent):
    def pick(self, n, generator):
        return torch.randint(self.size, (n,), generator=generator)


class ForgetsItsState(Persistent):
    def load_state_dict(self, state):
        pass


class BeginsInFloat32(Persistent):
    def start(self, x, generator):
        return super().start(x, generator).float()


# --- monitors


def mean_energy(view):
    """A right one."""
    with torch.no_grad():
        return {"mean": view.energy(view.data).mean(), "n": len(view.data)}


def calls_train(view):
    view.energy.train()
    return mean_energy(view)


def clamps_the_weights(view):
    for parameter in view.energy.parameters():
        parameter.data.clamp_(-0.01, 0.01)
    return mean_energy(view)


def draws_a_subset_globally(view):
    return {"first": view.data[torch.randperm(len(view.data))[:5]].mean()}


def scales_the_data_in_place(view):
    view.data.div_(view.data.abs().max())
    return mean_energy(view)


def returns_a_batch(view):
    return {"energies": view.energy(view.data).detach()}


def returns_nan(view):
    return {"log_z": float("nan")}


class Counts:
    def __init__(self):
        self.looks = 0

    def __call__(self, view):
        self.looks += 1
        return {"looks": self.looks}


# --- datasets


class Normal:
    """A right one: N(0, std²) in the plane."""

    def __init__(self, *, std: float = 0.5, generator=None):
        self.std = std
        self.generator = generator

    def __call__(self):
        return self.std * torch.randn(4000, 2, generator=self.generator)

    def log_prob(self, x):
        constant = 2 * math.log(self.std) + math.log(2 * math.pi)
        return -x.square().sum(1) / (2 * self.std**2) - constant


class FreshEntropy(Normal):
    def __call__(self):
        return self.std * torch.from_numpy(np.random.default_rng().standard_normal((4000, 2)))


class DrawsGlobally(Normal):
    def __call__(self):
        return self.std * torch.randn(4000, 2)


class ConstantOfOneDimension(Normal):
    def log_prob(self, x):
        return super().log_prob(x) + math.log(self.std) + math.log(2 * math.pi) / 2


class LogProbOfAnotherWidth(Normal):
    def log_prob(self, x):
        return Normal(std=self.std * 1.2).log_prob(x)


class BoundsOfOtherData(Normal):
    bounds = torch.tensor([[0.0, 0.0], [1.0, 1.0]])


class Uniform:
    """A right one, whose density jumps: 1/6 on a box, which are its bounds, and 0 elsewhere."""

    bounds = torch.tensor([[-1.0, 0.0], [1.0, 3.0]])
    entropy = math.log(6)

    def __init__(self, *, generator=None):
        self.generator = generator

    def __call__(self):
        low, high = self.bounds
        return low + (high - low) * torch.rand(4000, 2, generator=self.generator)

    def log_prob(self, x):
        inside = ((self.bounds[0] <= x) & (x <= self.bounds[1])).all(1)
        return torch.where(inside, -math.log(6), -math.inf)


class UniformOnAnotherArea(Uniform):
    def log_prob(self, x):
        return super().log_prob(x) - math.log(1.01)


class Fault(NamedTuple):
    """A wrong component, the check that must catch it, and the right component beside it."""

    kind: str
    wrong: Any
    check: str
    right: Any
    raises: bool = False  # whether the fault itself ends in an exception


FAULTS = (
    Fault("energy", BatchNorm, "independence", Net),
    Fault("energy", CentresTheBatch, "independence", Net),
    Fault("energy", DimensionKept, "shape", Net),
    Fault("energy", SqueezesABatchOfOne, "shape", Net),
    Fault("energy", WeightsNotRegistered, "state_dict_round_trip", Net),
    Fault("energy", ConstantOnTheCPU, "meta_device", Net, raises=True),
    Fault("energy", ConstantInFloat32, "dtype", Net),
    Fault("energy", DetachedInside, "gradient", Net),
    Fault("energy", KinkedUndeclared, "second_derivative", Net),
    Fault("energy", WritesToX, "input_untouched", Net),
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
    Fault("sampler", GathersGradients, "energy_untouched", ULA),
    Fault("sampler", SwitchesTheMode, "energy_untouched", ULA),
    Fault("sampler", MovesXInPlace, "input_untouched", ULA),
    Fault("sampler", NormalisesByTheBatch, "chains_independent", ULA),
    Fault("sampler", HidesInfinities, "infinite_energy", ULA),
    Fault("sampler", LooksAtAValue, "compiled", ULA),
    Fault("loss", DenoisingWithTheSignLost, "zero_at_truth", Denoising),
    Fault("loss", DenoisingWithTheSignLost, "leads_to_data", Denoising),
    Fault("loss", DenoisingThatForgetsItsBlur, "zero_at_truth", Denoising),
    Fault("loss", DenoisingWithoutCreateGraph, "gradient", Denoising),
    Fault("loss", score_matching_without_the_trace, "zero_at_truth", score_matching),
    Fault("loss", gap_with_the_sign_reversed, "leads_to_data", gap),
    Fault("loss", gap_that_is_cut, "leads_to_data", gap),
    Fault("loss", gap_that_is_cut, "gradient", gap),
    Fault("loss", gap_of_each_event, "scalar", gap),
    Fault("loss", gap_and_penalty_undeclared, "shift_invariant", penalty),
    Fault("loss", gap_and_penalty_undeclared, "zero_at_truth", penalty),
    Fault("loss", gap_that_calls_backward, "inputs_untouched", gap),
    Fault("loss", gap_with_global_noise, "inputs_untouched", gap),
    Fault("loss", gap_that_asks_the_data_for_gradients, "inputs_untouched", gap),
    Fault("chains", AliasesItsBuffer, "no_aliasing", Persistent),
    Fault("chains", AliasesTheData, "no_aliasing", Persistent),
    Fault("chains", WritesToTheFirstSlots, "no_repeats", Persistent),
    Fault("chains", PicksAChainTwice, "no_repeats", Persistent),
    Fault("chains", ForgetsItsState, "state_round_trip", Persistent),
    Fault("chains", BeginsInFloat32, "shape", Persistent),
    Fault("monitor", calls_train, "model_untouched", mean_energy),
    Fault("monitor", clamps_the_weights, "model_untouched", mean_energy),
    Fault("monitor", draws_a_subset_globally, "streams_untouched", mean_energy),
    Fault("monitor", scales_the_data_in_place, "data_untouched", mean_energy),
    Fault("monitor", returns_a_batch, "results", mean_energy),
    Fault("monitor", returns_nan, "results", mean_energy),
    Fault("monitor", Counts, "reproducible", mean_energy),
    Fault("dataset", FreshEntropy, "deterministic", Normal),
    Fault("dataset", DrawsGlobally, "global_stream_untouched", Normal),
    Fault("dataset", ConstantOfOneDimension, "normalised", Normal),
    Fault("dataset", LogProbOfAnotherWidth, "law_of_points", Normal),
    Fault("dataset", BoundsOfOtherData, "shape", Normal),
    Fault("dataset", UniformOnAnotherArea, "normalised", Uniform),
)
