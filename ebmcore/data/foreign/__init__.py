"""Data as pandas and numpy hold them."""

from ebmcore.data.foreign.arrays import frame_numbers, is_frame, is_series, torch_array

__all__ = ["frame_numbers", "is_frame", "is_series", "torch_array"]
