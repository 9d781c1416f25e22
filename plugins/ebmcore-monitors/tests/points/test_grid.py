import pytest
import torch
from ebmcore_monitors.points.grid import grid_over


def test_grid_chunks_are_all_points_in_order():
    grid = grid_over(torch.tensor([[0.0, -1.0], [1.0, 1.0]]), 301)
    points = torch.cat(list(grid.chunks(torch.zeros(1, 1, 2))))
    assert points.shape == (301 * 301, 1, 2)
    assert points[1, 0].tolist() == pytest.approx([0.0, -1 + 2 / 300])
    assert points[301, 0].tolist() == pytest.approx([1 / 300, -1.0])
