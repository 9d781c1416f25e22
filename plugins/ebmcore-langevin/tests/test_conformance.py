"""The kernels through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore_langevin import SVGD, Underdamped

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


class TestDecaying(SamplerSuite):
    component = "langevin"
    params: ClassVar = {"step_size": 0.2, "decay": 0.55}
    event_shapes: ClassVar = [(2,), (3, 2)]


class TestDecayingAndClipped(SamplerSuite):
    component = "langevin"
    params: ClassVar = {"step_size": 0.2, "decay": 0.55, "clip_score": 1.0, "bounds": [-3.0, 3.0]}


class TestWithoutNoise(SamplerSuite):
    component = "langevin"
    params: ClassVar = {"step_size": 0.2, "temperature": 0.0, "decay": 0.55}


class TestUnderdamped(SamplerSuite):
    component = "underdamped"
    params: ClassVar = Underdamped.check_params
    expected_failures: ClassVar = Underdamped.expected_failures


class TestMALA(SamplerSuite):
    component = "mala"


class TestMALAWithALargeStepOnImages(SamplerSuite):
    component = "langevin:mala"
    params: ClassVar = {"step_size": 0.5}
    event_shapes: ClassVar = [(4, 4)]


class TestACoolerMALA(SamplerSuite):
    component = "mala"
    params: ClassVar = {"step_size": 0.3, "temperature": 0.5}


class TestLeapingMALA(SamplerSuite):
    component = "mala"
    params: ClassVar = {"step_size": 0.3, "leaps": 0.3, "leap_size": 2.0}
    event_shapes: ClassVar = [(2,)]


class TestMALAsWarmUp(SamplerSuite):
    component = "mala"
    params: ClassVar = {"warm_up": 20}
    expected_failures: ClassVar = {"chains_independent": "a warm-up pools the chains"}


class TestAnnealed(SamplerSuite):
    component = "annealed"
    params: ClassVar = {"kernel": {"type": "langevin", "step_size": 0.05}}


class TestSVGD(SamplerSuite):
    component = "svgd"
    params: ClassVar = SVGD.check_params
    expected_failures: ClassVar = SVGD.expected_failures
    event_shapes: ClassVar = [(2,), (2, 2)]


class TestAnnealedThroughTemperatures(SamplerSuite):
    component = "annealed"
    params: ClassVar = {"kernel": {"type": "underdamped"}, "temperatures": [4.0, 1.0]}
