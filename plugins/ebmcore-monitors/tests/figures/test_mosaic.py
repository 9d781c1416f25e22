import torch
from ebmcore_monitors.figures.mosaic import tile


def test_tile_puts_each_image_in_its_cell():
    images = torch.arange(5.0)[:, None, None, None].expand(5, 1, 2, 3)
    whole = tile(images)[..., 0]
    assert whole.shape == (5, 11)
    assert whole[0, [0, 4, 8]].tolist() == [0, 1, 2]
    assert whole[3, [0, 4]].tolist() == [3, 4]
    assert whole[2].isnan().all()
    assert whole[3:, 7:].isnan().all()
