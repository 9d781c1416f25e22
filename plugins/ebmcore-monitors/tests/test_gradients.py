import math

import pytest
import torch
from ebmcore_monitors.gradients import Gradients
from torch import nn


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 1)
        self.scale = nn.Parameter(torch.tensor(2.0))
        nn.init.constant_(self.head.weight, 3.0)
        nn.init.constant_(self.head.bias, 4.0)

    def forward(self, x):
        return self.scale * self.head(x)[:, 0]


def test_gradients_by_hand(make_view):
    gradients = {
        "head.weight": torch.tensor([[6.0]]),
        "head.bias": torch.tensor([8.0]),
        "scale": torch.tensor(1.0),
    }
    view = make_view(Two(), torch.zeros(3, 1), gradients=gradients)
    assert Gradients()(view) == pytest.approx(
        {
            "non_finite": 0.0,
            "norm": math.sqrt(101),
            "ratio": math.sqrt(101 / 29),
            "norm/head": 10.0,
            "ratio/head": 2.0,
            "norm/scale": 1.0,
            "ratio/scale": 0.5,
        }
    )
    deeper = Gradients(depth=2)(view)
    assert (deeper["norm/head.weight"], deeper["norm/head.bias"]) == (6.0, 8.0)


def test_gradients_that_are_nan_are_counted_and_left_out(make_view):
    gradients = {
        "head.weight": torch.tensor([[math.nan]]),
        "head.bias": torch.tensor([math.inf]),
        "scale": torch.tensor(1.0),
    }
    found = Gradients()(make_view(Two(), torch.zeros(3, 1), gradients=gradients))
    assert found == {"non_finite": 2.0, "norm/scale": 1.0, "ratio/scale": 0.5}


def test_gradients_before_the_first_step_and_without_names(make_view):
    assert Gradients()(make_view(Two(), torch.zeros(3, 1))) == {}
    view = make_view(lambda x: x.sum(1), torch.zeros(3, 1), gradients={"a.b": torch.tensor(3.0)})
    assert Gradients()(view) == {"non_finite": 0.0, "norm": 3.0, "norm/a": 3.0}
