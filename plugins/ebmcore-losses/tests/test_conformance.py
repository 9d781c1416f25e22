"""The losses through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore.testing import LossSuite


class TestContrastiveDivergence(LossSuite):
    component = "contrastive_divergence"
    event_shapes: ClassVar = [(3,)]


class TestDenoisingScoreMatching(LossSuite):
    component = "denoising_score_matching"


class TestDenoisingFarFromTheData(LossSuite):
    component = "denoising_score_matching"
    params: ClassVar = {"sigma": 0.8}
    event_shapes: ClassVar = [(2, 2)]


class TestDenoisingAtSeveralLevels(LossSuite):
    component = "denoising_score_matching"
    params: ClassVar = {"sigma": [0.1, 0.8]}


class TestEnergyMagnitude(LossSuite):
    component = "energy_magnitude"


class TestL2Parameters(LossSuite):
    component = "l2_parameters"
