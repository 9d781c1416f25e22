"""The kernel through ebmcore's own conformance kit, found as an installed plugin's.

Chains of the kit begin anew, with their replicas at x; `test_invariance.py` begins each replica at
a draw of its own law.
"""

import math
from typing import ClassVar

from ebmcore import Binary, Categorical
from ebmcore.testing import SamplerSuite

ANEW = "replicas begin at x, not at draws of their laws; test_invariance.py begins them there"


class TestOfMALA(SamplerSuite):
    component = "parallel_tempering"
    params: ClassVar = {
        "kernel": {"type": "mala", "step_size": 0.5},
        "temperatures": [1.0, 3.0],
        "warm_up": 0,
    }
    n_steps = 5
    unknown_law = ANEW


class TestWithAMomentum(SamplerSuite):
    component = "tempering:parallel_tempering"
    params: ClassVar = {
        "kernel": {"type": "underdamped", "friction": 10.0},
        "temperatures": [1.0, 3.0],
        "warm_up": 0,
        "swap_every": 2,
    }
    n_steps = 5

    def stationary_variance(self, scale):
        return scale**2 if scale > 0.05 else math.inf  # exact on Gaussians for h < 2s


class TestOnBits(SamplerSuite):
    component = "parallel_tempering"
    params: ClassVar = {"kernel": {"type": "gibbs"}, "temperatures": [1.0, 2.0], "warm_up": 0}
    check_space = Binary()
    event_shapes: ClassVar = [(3,)]
    n_steps = 8


class TestOnCategories(SamplerSuite):
    component = "parallel_tempering"
    params: ClassVar = {"kernel": {"type": "gibbs"}, "temperatures": [1.0, 2.0], "warm_up": 0}
    check_space = Categorical(3)
    event_shapes: ClassVar = [(2,)]
    n_steps = 8
