"""The monitors through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore.testing import MonitorSuite


class TestEnergies(MonitorSuite):
    component = "energies"
    params: ClassVar = {"n": 50}
    event_shapes: ClassVar = [(2,), (4, 4)]


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
    event_shapes: ClassVar = [(2,), (8, 8), (3, 8, 8), (10, 1)]
