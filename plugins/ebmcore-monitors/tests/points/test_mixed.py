import math

import pytest
import torch
from ebmcore_monitors.points.mixed import Mixing, mixing_of
from torch import nn

from ebmcore import Kernel, Trace


@pytest.mark.parametrize(
    ("rhat", "mixed", "numbers", "said"),
    [
        (1.0999, True, {"rhat": 1.0999, "mixed": 1.0}, ""),
        (1.1001, False, {"rhat": 1.1001, "mixed": 0.0}, "(R-hat is 1.1, not under 1.1)"),
        (math.inf, False, {"mixed": 0.0}, "R-hat is inf"),
        (None, False, {"mixed": 0.0}, "not finite, so R-hat is not known"),
    ],
)
def test_chains_count_as_mixed_below_an_rhat_of_1_1(rhat, mixed, numbers, said):
    mixing = Mixing(200, rhat)
    assert mixing.mixed is mixed
    assert mixing.numbers() == numbers
    assert mixing.numbers("samples_") == {f"samples_{k}": v for k, v in numbers.items()}
    message = mixing.warning("the verdict", "n_steps")
    assert "the verdict is not sure" in message
    assert "Raise n_steps" in message
    assert said in message


def test_fewer_steps_than_31_show_nothing():
    assert "take 30 steps, and R-hat needs 31" in Mixing(30, None).warning("it", "n_steps")
    assert "stand at one point" in Mixing(31, None).warning("it", "n_steps")


def flat(x):
    return 0.0 * x.sum(1)


def test_the_first_half_of_the_steps_does_not_count(make_view, normal):
    asked = []

    def walk(n, n_steps, thin):
        asked.append((n, n_steps, thin))
        kept = n_steps // thin
        x = normal(kept * n, 2, 0).reshape(kept, n, 2)
        x[: kept // 2] += torch.linspace(0, 50, n)[:, None]  # on their way from where they began
        return Trace(x, None)

    view = make_view(flat, normal(10, 2, 1), walk=walk, n_steps=3)
    for steps in (31, 63, 64, 700):
        assert mixing_of(view, steps).mixed
    assert mixing_of(view, 700, chains=5).steps == 700
    assert mixing_of(view, None)[:3] == Mixing(30, None)[:3]
    assert asked == [(64, 31, 1), (64, 63, 1), (64, 64, 1), (64, 700, 10), (5, 700, 10),
                     (64, 30, 1)]  # fmt: skip


def test_chains_that_anneal_have_no_law_to_mix_in(make_view, normal):
    class Anneals(Kernel):
        anneals = True

    view = make_view(flat, normal(10, 2, 1), kernel=Anneals(), n_steps=10)  # and it has no `walk`
    mixing = mixing_of(view, None)
    assert mixing == Mixing(100, None, has_law=False)
    assert not mixing.doubtful
    assert mixing.numbers() == {}
    assert Mixing(100, None).doubtful


class Conditional(nn.Module):
    def forward(self, x, y, mask):
        return (x * mask).sum(1) + y


def test_a_few_conditions_of_the_data_are_shared_by_many_chains(make_view, seeded):
    g, seen = seeded(0), []

    def walk(n, n_steps, thin, y, mask):
        seen.append((y, mask))
        noise = torch.randn(n_steps // thin, n, 3, generator=g)
        return Trace(mask * (9.0 * y[:, None] + noise), None)

    y = torch.arange(40)
    mask = torch.arange(3) <= (y % 3)[:, None]
    view = make_view(Conditional(), mask * 9.0 * y[:, None], data_y=y, data_mask=mask, walk=walk)
    assert mixing_of(view, 100, chains=62).rhat < 1.1
    ((labels, masks),) = seen
    assert len(labels) == 62
    assert sorted(labels.unique(return_counts=True)[1].tolist()) == [14, 16, 16, 16]
    assert torch.equal(masks, mask[labels])
