"""Energy and dataset through ebmcore's own conformance kit, found as an installed plugin's.

The kit's samplers move on Gaussians, which heat baths don't; their proofs are in test_gibbs.
"""

from typing import ClassVar

import torch

from ebmcore.testing import DatasetSuite, EnergySuite


class TestRBM(EnergySuite):
    component = "rbm"
    params: ClassVar = {"hidden": 5, "scale": 0.5}
    event_shapes: ClassVar = [(4,), (3, 3)]

    def events(self, n, shape, *, seed=0, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(2, (n, *shape), generator=generator, dtype=dtype)


class TestIsing(EnergySuite):
    component = "ising"
    params: ClassVar = {"sigma": 0.3}
    event_shapes: ClassVar = [(4,), (3, 4)]


class TestPotts(EnergySuite):
    component = "potts"
    params: ClassVar = {"coupling": 0.7}
    event_shapes: ClassVar = [(4,), (2, 3)]


class TestBars(DatasetSuite):
    component = "bars"
    params: ClassVar = {"n": 2000}
