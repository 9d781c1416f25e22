"""The ladder: its temperatures, its adaptation to equal swap rates, and what chains carry of it."""

from itertools import pairwise

import pytest
import torch
from ebmcore_langevin import MALA
from ebmcore_tempering import ParallelTempering
from ebmcore_tempering.ladder import adapted, first_spacing, temperatures_of

from ebmcore import Carried, init_state


def gaussian(x):
    """E = ½‖x‖², whose swap rates depend on the ratio of two temperatures alone."""
    return x.square().sum(1) / 2


def test_the_first_ladder_is_the_configs():
    given = [0.5, 0.7, 3.0, 40.0]
    spacing = torch.tensor([first_spacing(given)], dtype=torch.float64)
    found = temperatures_of(spacing, 0.5, 40.0)
    torch.testing.assert_close(found, torch.tensor([given], dtype=torch.float64))
    assert found[0, 0] == 0.5


def test_one_adaptation_by_hand():
    rates = torch.tensor([[0.9, 0.3], [0.7, 0.5]], dtype=torch.float64)
    new = adapted(torch.zeros(2, 2, dtype=torch.float64), rates, torch.tensor([3, 3]))
    change = 4**-0.6 * 0.2
    torch.testing.assert_close(new, torch.tensor([[change, -change]] * 2, dtype=torch.float64))


def test_rates_become_equal_on_a_gaussian(go):
    kernel = ParallelTempering(MALA(step_size=0.3), temperatures=[1.0, 1.2, 9.0, 16.0])
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    info = go(kernel, gaussian, init_state(kernel, gaussian, x), 250)[1]
    geometric = 16.0 ** (torch.arange(4, dtype=torch.float64) / 3)
    assert torch.equal(info.temperature, info.temperature[:1].expand_as(info.temperature))
    torch.testing.assert_close(info.temperature[0], geometric, rtol=0.08, atol=0)
    assert info.temperature[0, 0] == 1.0


@pytest.mark.parametrize("warm_up", [0, 5])
def test_after_the_warm_up_it_stays(go, warm_up):
    kernel = ParallelTempering(MALA(), temperatures=[1.0, 1.2, 9.0], warm_up=warm_up)
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    ladders, state = [], init_state(kernel, gaussian, x)
    for _ in range(8):
        state, info = go(kernel, gaussian, state, 1)
        ladders.append(info.temperature)
    changes = [not torch.equal(a, b) for a, b in pairwise(ladders)]
    assert changes == [True] * warm_up + [False] * (7 - warm_up)


def test_a_batch_takes_the_ladder_that_adapted_longest(begin):
    kernel = ParallelTempering(MALA(), temperatures=[1.0, 3.0, 9.0])
    spacing = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    replicas, steps = torch.zeros(3, 3, 2), torch.tensor([4, 9, 6])
    state = begin(kernel, gaussian, replicas, steps=steps, log_spacing=spacing)
    assert state.steps.tolist() == [9, 9, 9]
    assert state.log_spacing.tolist() == [[0.0, 1.0]] * 3
    held = {"steps": steps, "log_spacing": spacing}
    carried = Carried(held, torch.tensor([False, True, False]))  # the second begins anew
    state = init_state(kernel, gaussian, replicas[:, 0], carried=carried)
    assert state.log_spacing.tolist() == [[0.0, 2.0]] * 3
