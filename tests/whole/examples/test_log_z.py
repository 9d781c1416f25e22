"""log Z of ManyWell in 32 numbers, as `benchmarks/log_z.py` estimates it, with fewer walkers."""

import pytest
import torch

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


def test_many_wells_are_weighed():
    from ebmcore_analytic import ManyWell
    from ebmcore_estimators import Gaussian, smc

    energy = ManyWell((32,)).eval()
    assert energy.log_z == pytest.approx(164.6957, abs=5e-5)
    base = Gaussian.standard((32,), scale=1.5)
    generator = torch.Generator().manual_seed(0)
    found = smc(energy, base, n=4096, steps=100, generator=generator)
    assert found.standard_error < 0.3
    assert abs(found.log_z - energy.log_z) < 4.5 * found.standard_error
    share = found.mean((found.x[:, ::2] > 0).double().mean(1))
    # of each coordinate √(.8443 .1557 / starts that count), and there are 16 independent ones
    assert abs(share - energy.share_right) < 4.5 * (0.1315 / 16 / found.ess) ** 0.5
