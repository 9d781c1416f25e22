"""The kernel through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

from ebmcore.testing import SamplerSuite


class TestHMC(SamplerSuite):
    component = "hmc"


class TestOneLeapfrogStepOnImages(SamplerSuite):
    component = "hmc:hmc"
    params: ClassVar = {"step_size": 0.9, "leapfrog": 1}
    event_shapes: ClassVar = [(4, 4)]


class TestACoolerOne(SamplerSuite):
    component = "hmc"
    params: ClassVar = {"step_size": 0.5, "leapfrog": 3, "temperature": 0.5, "mass": 4.0}


class TestAMassForEachNumber(SamplerSuite):
    component = "hmc"
    params: ClassVar = {"step_size": 0.5, "leapfrog": 3, "mass": [0.5, 2.0]}


class TestWarmUp(SamplerSuite):
    component = "hmc"
    params: ClassVar = {"step_size": 0.5, "leapfrog": 3, "warm_up": 20}
    expected_failures: ClassVar = {"chains_independent": "a warm-up pools the chains"}
