"""The noise of several steps in one call: the numbers that single steps draw."""

from __future__ import annotations

import pytest
import torch
from ebmcore_hmc import HMC
from ebmcore_langevin import MALA, Langevin

from ebmcore.errors import GraphError
from ebmcore.noise import Noise


class Counted(Langevin):
    """Counts how often it is asked for noise."""

    asked = 0

    def noise(self, x, generator):
        Counted.asked += 1
        return super().noise(x, generator)


@pytest.mark.parametrize("chains", [128, 8, 5])
@pytest.mark.parametrize("kernel", [Langevin(0.1), MALA(0.1), HMC(0.1)])
def test_it_is_that_of_single_steps(kernel, chains):
    x = torch.zeros(chains, 2)
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    noise = Noise(kernel)
    for _ in range(3):
        expected = [kernel.noise(x, one) for _ in range(7)]
        for found, wanted in zip(noise(x, other, 7), expected, strict=True):
            assert len(found) == len(wanted)
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
        assert torch.equal(one.get_state(), other.get_state())


def test_one_call_draws_it_where_it_can():
    kernel, generator, Counted.asked = Counted(0.1), torch.Generator(), 0
    noise = Noise(kernel)
    for _ in range(3):
        noise(torch.zeros(64, 2), generator, 10)
    assert Counted.asked == 10  # to compare
    noise(torch.zeros(5, 2), generator, 10)  # torch draws other numbers for so few in one call
    noise(torch.zeros(5, 2), generator, 10)
    assert Counted.asked == 30
    noise(torch.zeros(64, 2), None, 10)
    assert Counted.asked == 40


def test_noise_of_another_shape_from_step_to_step_is_refused():
    class Growing(Langevin):
        steps = 1

        def noise(self, x, generator):
            self.steps += 1
            return (torch.randn(self.steps, generator=generator),)

    with pytest.raises(GraphError, match="another shape"):
        Noise(Growing(0.1))(torch.zeros(8, 2), torch.Generator(), 3)
