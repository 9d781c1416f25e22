"""NUTS through ebmcore's own conformance kit, without a warm-up; that pools the chains."""

from typing import ClassVar

from ebmcore.testing import SamplerSuite


class TestNUTS(SamplerSuite):
    component = "nuts"
    params: ClassVar = {"step_size": 0.7, "warm_up": 0, "max_depth": 3}
    n_steps = 5


class TestOnImagesShortAndCool(SamplerSuite):
    component = "hmc:nuts"
    params: ClassVar = {"step_size": 0.9, "warm_up": 0, "max_depth": 2, "temperature": 0.5}
    event_shapes: ClassVar = [(2, 2)]
    n_steps = 5


class TestWarmUp(SamplerSuite):
    component = "nuts"
    params: ClassVar = {"warm_up": 40, "mass": "dense", "max_depth": 4}
    expected_failures: ClassVar = {"chains_independent": "a warm-up pools the chains"}
