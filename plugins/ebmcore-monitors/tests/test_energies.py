import math

import pytest
import torch
from ebmcore_monitors.energies import Energies


def test_energies_by_hand(make_view):
    x = torch.tensor([[1.0], [3.0]])
    view = make_view(lambda x: x[:, 0], x, held_out=x[:1] * 5, x_neg=torch.tensor([[4.0], [6.0]]))
    assert Energies()(view) == pytest.approx(
        {
            "data_mean": 2.0,
            "data_sd": math.sqrt(2),
            "held_out_mean": 5.0,
            "samples_mean": 5.0,
            "samples_sd": math.sqrt(2),
            "gap": -3.0,
        }
    )


def test_energies_leave_out_unknown_numbers(view):
    assert set(Energies(n=10)(view)) == {"data_mean", "data_sd"}
