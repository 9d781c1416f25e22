"""Wrong datasets, and the right ones beside them."""

import math

import numpy as np
import torch
from kit_faults.fault import Fault

from ebmcore import RowsInParts


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


class Part(RowsInParts):
    """Rows of a tensor."""

    def __init__(self, x):
        self.x, self.shape, self.dtype = x, x.shape, x.dtype

    def __getitem__(self, rows):
        return self.x[rows]


class InParts(Normal):
    """A right one, which a run reads in parts."""

    def read_in_parts(self):
        return Part(self())


class ScalesOnlyTheCall(InParts):
    def read_in_parts(self):
        return Part(self() / self.std)


class Shifted(Part):
    def at(self, numbers):
        return self.x[(numbers + 1) % len(self.x)]


class ReadsOtherRowsByNumber(InParts):
    def read_in_parts(self):
        return Shifted(self())


FAULTS = (
    Fault("dataset", FreshEntropy, "deterministic", Normal),
    Fault("dataset", DrawsGlobally, "global_stream_untouched", Normal),
    Fault("dataset", ScalesOnlyTheCall, "in_parts", InParts),
    Fault("dataset", ReadsOtherRowsByNumber, "in_parts", InParts),
    Fault("dataset", ConstantOfOneDimension, "normalised", Normal),
    Fault("dataset", LogProbOfAnotherWidth, "law_of_points", Normal),
    Fault("dataset", BoundsOfOtherData, "shape", Normal),
    Fault("dataset", UniformOnAnotherArea, "normalised", Uniform),
)
