"""The monitors through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

import pytest
import torch

from ebmcore.testing import MonitorSuite


class TestEnergies(MonitorSuite):
    component = "energies"
    params: ClassVar = {"n": 50}
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestConvergence(MonitorSuite):
    component = "convergence"
    params: ClassVar = {"full": True}


class TestBriefConvergence(MonitorSuite):
    component = "convergence"
    event_shapes: ClassVar = [(1,), (4, 4)]


class TestExactLikelihood(MonitorSuite):
    component = "exact_likelihood"
    params: ClassVar = {"points": 51}
    event_shapes: ClassVar = [(1,), (2,), (3,)]


class TestHistogram(MonitorSuite):
    component = "histogram_2d"


class TestLandscape(MonitorSuite):
    component = "landscape"


class TestPanels(MonitorSuite):
    component = "panels"


class TestSamples(MonitorSuite):
    component = "samples"
    params: ClassVar = {"n": 9}
    event_shapes: ClassVar = [(2,), (3,), (8, 8), (3, 8, 8), (10, 1)]


class TestAdvice(MonitorSuite):
    component = "advice"
    params: ClassVar = {"n": 50}
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestEnergyHistogram(MonitorSuite):
    component = "energy_histogram"
    params: ClassVar = {"n": 100, "bins": 20}
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestGradients(MonitorSuite):
    component = "gradients"
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestGradientsByLayer(MonitorSuite):
    component = "gradients"
    params: ClassVar = {"depth": 2}


class TestSamplerHealth(MonitorSuite):
    component = "sampler_health"
    params: ClassVar = {"n_chains": 8, "n_steps": 40, "thin": 1, "long_run": 3}
    event_shapes: ClassVar = [(2,), (1,), (4, 4)]


class TestSamplerHealthOfAShortTrace(MonitorSuite):
    component = "sampler_health"
    params: ClassVar = {"n_chains": 1, "n_steps": 5, "thin": 5, "coordinates": 0}


class TestTwoSample(MonitorSuite):
    component = "two_sample"
    params: ClassVar = {"n": 60, "permutations": 19, "projections": 10}
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestClassification(MonitorSuite):
    component = "classification"
    event_shapes: ClassVar = [(2,), (4, 4)]


class TestOutOfDistribution(MonitorSuite):
    component = "out_of_distribution"
    params: ClassVar = {"against": lambda: torch.full((40, 2), 3.0)}


class TestFidelity(MonitorSuite):
    component = "fidelity"
    params: ClassVar = {"n": 50}
    event_shapes: ClassVar = [(4, 4)]

    @pytest.fixture(autouse=True)
    def _few_steps(self, monkeypatch):
        monkeypatch.setattr("ebmcore_monitors.fidelity.judge.STEPS", 10)


class TestMMD(MonitorSuite):
    component = "mmd"
    params: ClassVar = {"n": 30, "permutations": 19}
