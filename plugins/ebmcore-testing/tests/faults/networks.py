"""Wrong networks, and the right one beside them."""

import torch
from kit_faults.fault import Fault
from torch import nn


class Affine(nn.Module):
    """A right one: m + w z."""

    def __init__(self, event_shape):
        super().__init__()
        self.mean = nn.Parameter(torch.randn(event_shape))
        self.scale = nn.Parameter(torch.ones(event_shape))

    def forward(self, z):
        return self.mean + self.scale * z

    def latents(self, n, generator=None):
        like = self.mean
        shape = (n, *like.shape)
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def sample(self, n, generator=None):
        return self(self.latents(n, generator))


def no_module(event_shape):
    """Build a plain function."""
    return lambda z: z


class WeightsInAList(nn.Module):
    def __init__(self, event_shape):
        super().__init__()
        self.layers = [nn.Linear(2, 2)]


class ScaleInFloat32(Affine):
    def forward(self, z):
        return super().forward(z).float()


class MaskOnTheCPU(Affine):
    def __init__(self, event_shape):
        super().__init__(event_shape)
        self.register_buffer("mask", torch.ones(event_shape, device="cpu"))


class OffsetNotRegistered(Affine):
    def __init__(self, event_shape):
        super().__init__(event_shape)
        self.offset = torch.randn(event_shape)

    def forward(self, z):
        return super().forward(z) + self.offset


class DetachesAScale(Affine):
    def forward(self, z):
        return self.mean + self.scale.detach() * z


class DrawsGlobally(Affine):
    def latents(self, n, generator=None):
        return super().latents(n)


class OneNumberTooFew(Affine):
    def sample(self, n, generator=None):
        return super().sample(n, generator)[:, :-1]


class AlwaysTheSame(Affine):
    def sample(self, n, generator=None):
        return self(torch.zeros(n, *self.mean.shape, dtype=self.mean.dtype))


FAULTS = tuple(
    Fault("network", wrong, check, Affine)
    for wrong, check in (
        (no_module, "built"),
        (WeightsInAList, "built"),
        (ScaleInFloat32, "dtype"),
        (MaskOnTheCPU, "meta_device"),
        (OffsetNotRegistered, "state_dict_round_trip"),
        (DetachesAScale, "gradient"),
        (DrawsGlobally, "samples"),
        (OneNumberTooFew, "samples"),
        (AlwaysTheSame, "samples"),
    )
)
