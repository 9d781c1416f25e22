"""Kernels of bits that the energy's gradient informs, with the faults that such kernels have."""

import torch
from kit_faults.fault import Fault
from kit_faults.samplers import State
from kit_faults.spaces import Binary

from ebmcore import Kernel, energy_and_score


def gains(energy, x):
    """Return energies, and the changes of -E that the gradient predicts for each flip."""
    values, score = energy_and_score(energy, x)
    return values, (1 - 2 * x) * score


class Flipping(Kernel):
    """A right one: one flip, proposed by softmax(gain/2), kept with min(1, r)."""

    spaces = (Binary,)
    n_steps = 10

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        shape = (2, len(x))
        draws = torch.rand(shape, generator=generator, dtype=torch.float64, device=x.device)
        return draws[0], draws[1]

    def step(self, energy, state, noise):
        x = state.x.flatten(1)
        values, there = gains(energy, x)
        q = (there / 2).softmax(1)
        site = (noise[0][:, None] >= q.cumsum(1)[:, :-1]).sum(1, keepdim=True)
        flipped = x.scatter(1, site, 1 - x.gather(1, site))
        others, back = gains(energy, flipped)
        r = (values - others).exp() * self.ratio(q, (back / 2).softmax(1), site)
        kept = self.keeps(noise[1], r)[:, None]
        return State(torch.where(kept, flipped, x).reshape(state.x.shape)), None

    def ratio(self, there, back, site):
        return (back.gather(1, site) / there.gather(1, site))[:, 0]

    def keeps(self, uniform, r):
        return uniform < r


class FlippingAlways(Flipping):
    def keeps(self, uniform, r):
        return torch.ones_like(uniform, dtype=torch.bool)


class FlippingWithoutProposals(Flipping):
    def ratio(self, there, back, site):
        return torch.ones_like(there[:, 0])


class FlippingUpsideDown(Flipping):
    def ratio(self, there, back, site):
        return super().ratio(back, there, site)


class TestedFirst(Flipping):
    """A right one, whose noise begins with the number of the test."""

    def step(self, energy, state, noise):
        return super().step(energy, state, noise[::-1])


class TestedFirstTooOften(TestedFirst):
    def keeps(self, uniform, r):
        return uniform < 1.001 * r  # a bias that 20,000 draws don't show


class AllAtOnce(Kernel):
    """A right one with a bias: each bit flips by itself, with probability sigmoid(gain/2 - 1)."""

    spaces = (Binary,)
    unknown_law = "its steps aren't adjusted"
    half = 0.5

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device),)

    def step(self, energy, state, noise):
        gain = gains(energy, state.x)[1]
        flips = noise[0] < (self.half * gain - 1).sigmoid()
        return State(torch.where(flips, 1 - state.x, state.x)), None

    @staticmethod
    def transition_matrix(energy, x):
        with torch.enable_grad():
            gain = gains(energy, x)[1]
        p = (gain / 2 - 1).sigmoid()[:, None]
        return torch.where(x[:, None] != x, p, 1 - p).prod(2)


class AllAtOnceByWholeGradients(AllAtOnce):
    half = 1.0


class AllAtOnceInNoKnownLaw(AllAtOnce):
    transition_matrix = None
    unknown_law = ""


FAULTS = (
    Fault("sampler", FlippingAlways, "transition_matrix", Flipping),
    Fault("sampler", FlippingWithoutProposals, "transition_matrix", Flipping),
    Fault("sampler", FlippingUpsideDown, "transition_matrix", Flipping),
    Fault("sampler", TestedFirstTooOften, "transition_matrix", TestedFirst),
    Fault("sampler", AllAtOnceByWholeGradients, "transition_matrix", AllAtOnce),
    Fault("sampler", AllAtOnceByWholeGradients, "stationary", AllAtOnce),
    Fault("sampler", AllAtOnceInNoKnownLaw, "transition_matrix", AllAtOnce),
)
