"""Data: from a dataset's result to the tensors that a run trains on."""

from ebmcore.data.load import Data, default_dtype, load_data
from ebmcore.data.mask import as_mask, pad_events, separate_events, without_padding
from ebmcore.data.parts import RowsInParts, row_slices, steps_before_nan
from ebmcore.data.streamed import stream_data
from ebmcore.data.transformed import transform_data
from ebmcore.data.transforms import TransformError, Transforms
from ebmcore.data.values.precision import name_of, refuse_lost_digits, whole_number_lost
from ebmcore.spaces import row_and_column

__all__ = [
    "Data",
    "RowsInParts",
    "TransformError",
    "Transforms",
    "as_mask",
    "default_dtype",
    "load_data",
    "name_of",
    "pad_events",
    "refuse_lost_digits",
    "row_and_column",
    "row_slices",
    "separate_events",
    "steps_before_nan",
    "stream_data",
    "transform_data",
    "whole_number_lost",
    "without_padding",
]
