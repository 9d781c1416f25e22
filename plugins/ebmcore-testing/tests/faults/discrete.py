"""Parts in a space of bits: a Gibbs kernel with its faults, and a dataset."""

import torch
from kit_faults.fault import Fault
from kit_faults.samplers import State
from kit_faults.spaces import Binary

from ebmcore import Kernel


class Gibbs(Kernel):
    """A right one: each bit in turn, from its conditional law."""

    spaces, n_steps = (Binary,), 3

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device),)

    def step(self, energy, state, noise):
        x, u = state.x.flatten(1), noise[0].flatten(1)
        for i in range(x.shape[1] - self.left_out):
            axis = torch.arange(x.shape[1], device=x.device) == i
            source = state.x.flatten(1) if self.at_once else x
            off, on = (
                energy(torch.where(axis, bit, source).reshape(state.x.shape)).detach()
                for bit in (0.0, 1.0)
            )
            p = torch.sigmoid(self.sign * (off - on))
            x = torch.where(axis, self.bit(u[:, i], p)[:, None], x)
        return State(x.reshape(state.x.shape)), None

    sign, at_once, left_out = 1.0, False, 0

    def bit(self, u, p):
        return (u < p).to(p.dtype)


class GibbsWithTheSignLost(Gibbs):
    sign = -1.0


class GibbsAtOnce(Gibbs):
    at_once = True


class GibbsWithoutTheLastBit(Gibbs):
    left_out = 1


class GibbsOfProbabilities(Gibbs):
    def bit(self, u, p):
        return p


class Biased(torch.nn.Module):
    """An energy of bits with a method of its own."""

    def __init__(self, event_shape):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.linspace(-1, 1, torch.Size(event_shape).numel()))

    def forward(self, x):
        return -(x.flatten(1) * self.bias).sum(1)

    def on(self):
        return self.bias.detach().sigmoid()


class ByTheEnergysMethod(Gibbs):
    """A right one that needs an energy of its own, which check_energy gives."""

    check_energy = Biased
    check_event_shapes = ((4,),)

    def step(self, energy, state, noise):
        return State(self.bit(noise[0], energy.on())), None

    def bit(self, u, p):
        return (u < p).to(u.dtype)


class ByTheEnergysMethodReversed(ByTheEnergysMethod):
    def bit(self, u, p):
        return (u > p).to(u.dtype)


class Coins:
    """A right dataset: fair bits."""

    space = Binary()
    side = 0.5

    def __init__(self, generator):
        self.generator = generator

    def __call__(self):
        return torch.randint(2, (500, 3), generator=self.generator).double()

    def log_prob(self, x):
        return x.new_full((len(x),), 3 * torch.tensor(self.side).log())


class CoinsOfNoLaw(Coins):
    side = 0.4


class CoinsWithNoise(Coins):
    def __call__(self):
        return super().__call__() + 0.01


FAULTS = (
    Fault("sampler", GibbsWithTheSignLost, "stationary", Gibbs),
    Fault("sampler", GibbsAtOnce, "stationary", Gibbs),
    Fault("sampler", GibbsWithoutTheLastBit, "stationary", Gibbs),
    Fault("sampler", GibbsWithTheSignLost, "transition_matrix", Gibbs),
    Fault("sampler", GibbsAtOnce, "transition_matrix", Gibbs),
    Fault("sampler", GibbsOfProbabilities, "stationary", Gibbs),
    Fault("sampler", ByTheEnergysMethodReversed, "stationary", ByTheEnergysMethod),
    Fault("dataset", CoinsOfNoLaw, "normalised", Coins),
    Fault("dataset", CoinsWithNoise, "shape", Coins),
)
