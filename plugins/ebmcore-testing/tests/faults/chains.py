"""Wrong chains, and the right ones beside them."""

import torch
from kit_faults.fault import Fault

from ebmcore import Chains, Start


class Persistent(Chains):
    """A right one: a random subset, each back to its slot."""

    size = 40
    begins_at_data = False

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

    def keep(self, end):
        self.x[self.slots] = end.x

    def kept(self):
        return Start(self.x)

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
    def keep(self, end):
        self.x[: len(end.x)] = end.x


class PicksAChainTwice(Persistent):
    def pick(self, n, generator):
        return torch.randint(self.size, (n,), generator=generator)


class ReadsTheEnds(Persistent):
    def keep(self, end):
        super().keep(end)
        self.moved = float(end.x.square().mean())


class ForgetsItsState(Persistent):
    def load_state_dict(self, state):
        pass


class BeginsInFloat32(Persistent):
    def start(self, x, generator):
        return super().start(x, generator).float()


class BeginsAtTheData(Persistent):
    def start(self, x, generator):
        if self.x is None:
            self.x = x.repeat(self.size, *(1 for _ in x.shape[1:]))[: self.size]
        return super().start(x, generator)


FAULTS = (
    Fault("chains", AliasesItsBuffer, "no_aliasing", Persistent),
    Fault("chains", AliasesTheData, "no_aliasing", Persistent),
    Fault("chains", WritesToTheFirstSlots, "no_repeats", Persistent),
    Fault("chains", PicksAChainTwice, "no_repeats", Persistent),
    Fault("chains", ReadsTheEnds, "no_host_sync", Persistent),
    Fault("chains", ForgetsItsState, "state_round_trip", Persistent),
    Fault("chains", BeginsInFloat32, "shape", Persistent),
    Fault("chains", BeginsAtTheData, "begins_without_data", Persistent),
)
