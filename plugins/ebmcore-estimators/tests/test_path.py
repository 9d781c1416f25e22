import math

import pytest
import torch
from ebmcore_estimators import Path, sigmoid


def test_sigmoidal_steps_by_hand():
    betas = sigmoid(4, delta=2.0)
    s = [1 / (1 + math.exp(-d)) for d in (-2, -1, 0, 1, 2)]
    assert betas == pytest.approx([(each - s[0]) / (s[-1] - s[0]) for each in s])
    assert (betas[0], betas[-1]) == (0.0, 1.0)
    assert sigmoid(1) == (0.0, 1.0)


def test_a_refined_path_passes_through_the_old_steps():
    scales = torch.tensor([[1.0, 1.0], [1.0, 4.0], [4.0, 4.0]])
    path = Path((0.0, 0.2, 1.0), torch.tensor([1.0, 4.0, 1.0]), scales)
    fine = path.refined(4)
    assert fine.betas == pytest.approx((0.0, 0.1, 0.2, 0.6, 1.0))
    torch.testing.assert_close(fine.step_sizes, torch.tensor([1.0, 2.0, 4.0, 2.0, 1.0]))
    torch.testing.assert_close(fine.scales[1], torch.tensor([1.0, 2.0]))
    assert fine.refined(2).betas == pytest.approx(path.betas)


def test_a_path_turned_and_stopped():
    path = Path((0.0, 0.2, 1.0), torch.tensor([1.0, 2.0, 3.0]))
    back = path.reversed()
    assert back.betas == (1.0, 0.2, 0.0)
    assert back.step_sizes.tolist() == [3.0, 2.0, 1.0]
    still = path.end()
    assert still.betas == (1.0, 1.0, 1.0)
    assert still.step_sizes.tolist() == [3.0, 3.0, 3.0]
    assert still.scales is None
    with pytest.raises(ValueError, match="steps should be at least 1; got 0"):
        path.refined(0)
    with pytest.raises(ValueError, match="steps should be at least 1; got 0"):
        sigmoid(0)
