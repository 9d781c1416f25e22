"""The noise of several steps in one call: the numbers that single steps draw."""

from __future__ import annotations

import pytest
import torch

from ebmcore.compile.batched_noise import BatchedNoise
from ebmcore.errors import GraphError


class Normal:
    """Draws one normal number for each of x, and counts how often it is asked."""

    asked = 0

    def noise(self, x, generator):
        self.asked += 1
        return (torch.randn(x.shape, generator=generator),)


class Two:
    """Draws twice for each step, as kernels that accept or refuse do."""

    def noise(self, x, generator):
        proposal = torch.randn(x.shape, generator=generator)
        return proposal, torch.rand(len(x), generator=generator)


class Scaled:
    """Draws what is not quite normal."""

    def noise(self, x, generator):
        return (2 * torch.randn(x.shape, generator=generator),)


@pytest.mark.parametrize("chains", [128, 8, 5])
@pytest.mark.parametrize("kernel", [Normal(), Two(), Scaled()])
def test_it_is_that_of_single_steps(kernel, chains):
    x = torch.zeros(chains, 2)
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    noise = BatchedNoise(kernel)
    for _ in range(3):
        expected = [kernel.noise(x, one) for _ in range(7)]
        for found, wanted in zip(noise(x, other, 7), expected, strict=True):
            assert len(found) == len(wanted)
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
        assert torch.equal(one.get_state(), other.get_state())


def test_one_call_draws_it_where_it_can():
    kernel, generator = Normal(), torch.Generator()
    noise = BatchedNoise(kernel)
    for _ in range(3):
        noise(torch.zeros(64, 2), generator, 10)
    assert kernel.asked == 10  # to compare
    noise(torch.zeros(5, 2), generator, 10)  # torch draws other numbers for so few in one call
    noise(torch.zeros(5, 2), generator, 10)
    assert kernel.asked == 30
    noise(torch.zeros(64, 2), None, 10)
    assert kernel.asked == 40


def test_noise_of_another_shape_from_step_to_step_is_refused():
    class Growing:
        steps = 1

        def noise(self, x, generator):
            self.steps += 1
            return (torch.randn(self.steps, generator=generator),)

    with pytest.raises(GraphError, match="changes from step to step"):
        BatchedNoise(Growing())(torch.zeros(8, 2), torch.Generator(), 3)
