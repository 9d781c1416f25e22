"""Wrong energies, and the right one beside them."""

import torch
from kit_faults.fault import Fault
from torch import nn

from ebmcore import Categorical


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


class BranchesOnValues(Net):
    def forward(self, x):
        return super().forward(x) if x.is_meta or x.isfinite().all() else super().forward(0 * x)


class WritesToX(Net):
    def forward(self, x):
        return super().forward(x.clamp_(-0.1, 0.1) if not x.requires_grad else x)


class OfCategories(Net):
    """A right one of categories, as whole numbers and one-hot."""

    check_space = Categorical(3)

    def make(self, size):
        return super().make(3 * size)

    def forward(self, x):
        x = self.check_space.one_hot(x, (2,), self.layers[1].weight.dtype)
        return super().forward(x)


class OneHotAndWholeApart(OfCategories):
    def forward(self, x):
        return super().forward(x) * (2 if x.is_floating_point() else 1)


FAULTS = (
    Fault("energy", OneHotAndWholeApart, "one_hot", OfCategories),
    Fault("energy", BatchNorm, "independence", Net),
    Fault("energy", CentresTheBatch, "independence", Net),
    Fault("energy", DimensionKept, "shape", Net),
    Fault("energy", SqueezesABatchOfOne, "shape", Net),
    Fault("energy", WeightsNotRegistered, "state_dict_round_trip", Net),
    Fault("energy", ConstantOnTheCPU, "meta_device", Net, raises=True),
    Fault("energy", ConstantInFloat32, "dtype", Net),
    Fault("energy", DetachedInside, "gradient", Net),
    Fault("energy", KinkedUndeclared, "second_derivative", Net),
    Fault("energy", BranchesOnValues, "no_host_sync", Net),
    Fault("energy", WritesToX, "input_untouched", Net),
)
