"""Everything offered through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

import torch
from ebmcore_discrete import Potts

from ebmcore import Categorical
from ebmcore.testing import DatasetSuite, EnergySuite, MonitorSuite, SamplerSuite


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


class OnCategories(SamplerSuite):
    """Three sites of three categories."""

    check_space: ClassVar = Categorical(3)
    check_event_shapes: ClassVar = ((3,),)

    def check_energy(self, event_shape):
        potts = Potts(coupling=0.7, event_shape=event_shape, space=self.check_space)
        potts.field.data.copy_(torch.linspace(-1, 1, potts.field.numel()).view_as(potts.field))
        return potts


class TestBlockGibbs(SamplerSuite):
    component = "block_gibbs"
    params: ClassVar = {"hidden": 3}


class TestGibbs(SamplerSuite):
    component = "gibbs"


class TestGibbsOfCategories(OnCategories):
    component = "gibbs"
    params: ClassVar = {"scan": "blocks"}


class TestGibbsWithGradients(SamplerSuite):
    component = "gibbs_with_gradients"


class TestGibbsWithGradientsOfCategories(OnCategories):
    component = "gibbs_with_gradients"


class TestDMALA(SamplerSuite):
    component = "dmala"


class TestDMALAOfCategories(OnCategories):
    component = "dmala"


class TestDULA(SamplerSuite):
    component = "dula"
    params: ClassVar = {"step_size": 0.7}

    def transition_matrix(self, energy, x):
        """Return ∏ᵢ sigmoid(±(∂ᵢE (2xᵢ - 1)/2 - 1/(2α))) over all pairs of events."""
        gradient = torch.func.vmap(torch.func.grad(lambda one: energy(one[None])[0]))(x)
        flips = (gradient * (2 * x - 1) / 2 - 1 / 1.4).sigmoid()[:, None]
        return torch.where(x[:, None] != x, flips, 1 - flips).prod(2)


class TestDULAOfCategories(OnCategories):
    component = "dula"


class TestBars(DatasetSuite):
    component = "bars"
    params: ClassVar = {"n": 2000}


class TestGrayCode(DatasetSuite):
    component = "gray_code"
    params: ClassVar = {"toy": "8gaussians", "bits": 8, "n": 2000}


class TestIsingDraws(DatasetSuite):
    component = "ising_draws"
    params: ClassVar = {"shape": [3, 3], "n": 2000}


class TestCouplings(MonitorSuite):
    component = "couplings"


class TestFeatures(MonitorSuite):
    component = "features"
