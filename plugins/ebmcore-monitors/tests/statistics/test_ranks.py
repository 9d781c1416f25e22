import pytest
import torch
from ebmcore_monitors.statistics.ranks import average_ranks, share_above


def test_equal_numbers_share_their_rank():
    assert average_ranks(torch.tensor([[3.0, 1.0], [3.0, 2.0]])).tolist() == [[3.5, 1], [3.5, 2]]


def test_share_above_by_hand():
    # of 6 pairs: 2 > 1; 3 > 1, 3 > 2, 3 = 3; 2 = 2: 3 wins and 2 ties
    found = share_above(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0, 3.0]))
    assert found == pytest.approx((3 + 2 / 2) / 6)
