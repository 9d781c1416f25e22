"""`step_size: auto`: the run's step for all chains, not with a warm-up."""

import pytest
import torch
from ebmcore_hmc import HMC

from ebmcore import Sampler


def half_square(x):
    return 0.5 * x.square().sum(1)


def test_a_fitted_step_is_the_step_of_that_number():
    x = torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    fitted, plain = HMC("auto"), HMC(0.3)
    with pytest.raises(ValueError, match="give a number"):
        Sampler(fitted, 1)(half_square, x, None)
    fitted.step_size.start(fitted, x, x.device)
    assert float(fitted.step_size) == pytest.approx(fitted.step_for(1.0) / 2, rel=0.2)
    fitted.step_size.scale(0.3 / float(fitted.step_size))
    ends = [
        Sampler(kernel, 2)(half_square, x, torch.Generator().manual_seed(1)).x
        for kernel in (fitted, plain)
    ]
    torch.testing.assert_close(*ends)
    with pytest.raises(ValueError, match="both adapt the step"):
        HMC("auto", warm_up=10)
