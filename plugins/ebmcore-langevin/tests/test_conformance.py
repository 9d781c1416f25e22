"""The kernels through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore.testing import SamplerSuite


class TestLangevin(SamplerSuite):
    component = "langevin"


class TestALargeStepOnImages(SamplerSuite):
    component = "langevin:langevin"
    params: ClassVar = {"step_size": 0.5}
    event_shapes: ClassVar = [(4, 4)]


class TestACoolerOne(SamplerSuite):
    component = "langevin"
    params: ClassVar = {"step_size": 0.1, "temperature": 0.5}


class TestClipped(SamplerSuite):
    component = "langevin"
    params: ClassVar = {"step_size": 0.1, "clip_score": 1.0, "bounds": [-3.0, 3.0]}
