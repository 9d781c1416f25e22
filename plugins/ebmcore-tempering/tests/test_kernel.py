"""One step by hand, what moves with a replica, round trips, conditions, and refusals."""

import pytest
import torch
from ebmcore_discrete import RBM, BlockGibbs
from ebmcore_langevin import MALA, Annealed, Langevin, Underdamped
from ebmcore_tempering import ParallelTempering
from ebmcore_tempering.round_trips import begun, moved

from ebmcore import Kernel, given, init_state, sample_chain


def parabola(x):
    return x.square().sum(1) / 2


@pytest.mark.parametrize("rescale", [True, False])
def test_one_step_by_hand(begin, rescale):
    h, hot = 0.1, 4.0
    kernel = ParallelTempering(Langevin(step_size=h), temperatures=[1.0, hot], rescale=rescale)
    replicas = torch.tensor([[[2.0], [1.0]], [[0.5], [3.0]]], dtype=torch.float64)
    xi = torch.tensor([[[0.5], [-1.0]], [[0.0], [0.25]]], dtype=torch.float64)
    uniform = torch.zeros(2, 1, dtype=torch.float64)
    state = begin(kernel, parabola, replicas)
    end, info = kernel.step(parabola, state, (uniform, xi))
    step = h * (hot if rescale else 1)
    cold = replicas[:, 0] * (1 - h) + (2 * h) ** 0.5 * xi[:, 0]
    warm = replicas[:, 1] * (1 - step / hot) + (2 * step) ** 0.5 * xi[:, 1]
    torch.testing.assert_close(end.x, warm)  # u = 0: swapped
    torch.testing.assert_close(end.hot[:, 0], cold)
    gap = (1 - 1 / hot) * (parabola(cold) - parabola(warm))
    torch.testing.assert_close(info.swap_rate[:, 0], gap.clamp(max=0).exp())
    torch.testing.assert_close(info.energy, parabola(warm))
    stays, _ = kernel.step(parabola, end, (uniform, xi))  # the pair (0, 1) has no second turn
    assert (stays.x - end.x).abs().max() < 1.6


def test_what_the_kernel_carries_moves_with_its_replica(begin, go):
    kernel = ParallelTempering(Underdamped(step_size=1e-4), temperatures=[1.0, 2.0], warm_up=0)
    replicas = torch.tensor([[[3.0], [0.5]]], dtype=torch.float64)
    momentum = torch.tensor([[[1.0], [-2.0]]], dtype=torch.float64)
    state = begin(kernel, parabola, replicas, kernel_momentum=momentum)
    end, _ = go(kernel, parabola, state, 1)
    torch.testing.assert_close(end.x, replicas[:, 1], atol=0.01, rtol=0)  # swapped: E falls
    torch.testing.assert_close(
        end.kernel_momentum[0, :, 0], momentum[0].flip(0)[:, 0], atol=0.1, rtol=0
    )


def test_swap_every_takes_that_many_steps_of_the_kernel():
    kernel = ParallelTempering(MALA(), swap_every=3)
    x = torch.zeros(2, 4)
    shapes = [tuple(part.shape) for part in kernel.noise(x, None)]
    assert shapes == [(2, 3)] + [(2, 4, 4), (2, 4)] * 3


def test_a_round_trip_by_hand():
    phase, total = begun(torch.zeros(1, 1), 3), []
    for source in ([1, 0, 2], [0, 2, 1], [1, 0, 2], [0, 2, 1], [1, 0, 2]):
        phase, completed = moved(phase, torch.tensor([source]))
        total.append(int(completed))
    assert total == [0, 0, 0, 0, 1]


def test_each_chain_has_its_own_condition_and_mask():
    class Conditional(torch.nn.Module):
        def forward(self, x, y, mask=None):
            far = (x - y[:, None]).square()
            return (far if mask is None else far * mask).sum(1) / 2

    y = torch.tensor([-40.0, 0.0, 40.0]).repeat_interleave(500)
    x = y[:, None] + torch.randn(1500, 2, generator=torch.Generator().manual_seed(0))
    energy = given(Conditional(), y=y, mask=torch.tensor([[True, False]]).expand(1500, 2))
    kernel = ParallelTempering(MALA(step_size=0.5), swap_every=2)
    end = sample_chain(kernel, energy, x, n_steps=5, generator=torch.Generator().manual_seed(1))
    assert ((end[:, 0] - y).abs() < 6).all()
    assert abs(float((end[:, 0] - y).square().mean()) - 1) < 0.2


def test_a_tempered_rbm_has_no_conditionals():
    rbm = RBM(4, event_shape=(3,))
    with pytest.raises(ValueError, match="AtTemperature doesn't: use gibbs"):
        sample_chain(ParallelTempering(BlockGibbs(4)), rbm, torch.zeros(2, 3), n_steps=1)


class Forgetful(Kernel):
    def init(self, energy, x, generator):
        return None


@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        (Langevin(clip_score=1.0), "swaps need the law of Langevin, which isn't known: its scores"),
        (Annealed(Langevin()), "its noise levels fall within a run"),
        (
            MALA(temperature=0.5),
            "temperature should be 1, since temperatures sets it; MALA has 0.5",
        ),
        (MALA(step_size="auto"), "no run fits a step_size at several temperatures"),
        (Forgetful(), "Forgetful draws in `init`, which is called at each step, but carries"),
        (parabola, "function has no init, noise and step"),
    ],
)
def test_a_kernel_that_it_cannot_run_is_refused(kernel, why):
    with pytest.raises(ValueError, match=why):
        ParallelTempering(kernel)


@pytest.mark.parametrize("temperatures", [[1.0], [2.0, 1.0], [0.0, 1.0], [1.0, float("inf")]])
def test_temperatures_rise(temperatures):
    with pytest.raises(ValueError, match="two positive numbers or more, each larger"):
        ParallelTempering(MALA(), temperatures=temperatures)


def test_a_kernel_that_draws_where_nothing_is_new_fails(go):
    class Draws(Underdamped):
        def init(self, energy, x, generator, carried):
            new = self.noise(x, generator)[0]
            return super().init(energy, x, generator, carried)._replace(momentum=new)

    kernel = ParallelTempering(Draws())
    state = init_state(kernel, parabola, torch.zeros(2, 1), generator=torch.Generator())
    with pytest.raises(TypeError, match="_NothingIsDrawn"):
        go(kernel, parabola, state, 1)
