"""Tables of pandas and arrays of numpy as torch takes them; pandas itself is never imported."""

from __future__ import annotations

from typing import Any

import numpy as np

from ebmcore.errors import DataError


def is_frame(x: Any) -> bool:
    """Tell whether something is a DataFrame of pandas, without importing it."""
    return _is_of_pandas(x, "DataFrame")


def is_series(x: Any) -> bool:
    """Tell whether something is a Series of pandas, such as a column of labels."""
    return _is_of_pandas(x, "Series")


def _is_of_pandas(x: Any, name: str) -> bool:
    kinds = {f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in type(x).__mro__}
    return f"pandas.{name}" in kinds


def frame_numbers(frame: Any) -> Any:
    """Return the numbers of a DataFrame, (n, columns), those that are missing as NaN.

    Raises DataError when a column holds no numbers.
    """
    words = [
        str(name)
        for name, kind in zip(frame.columns, frame.dtypes, strict=True)
        if kind.kind not in "biuf"
    ]
    if words:
        raise DataError(
            f"column {words[0]!r} holds no numbers; leave it out, or turn it into numbers"
        )
    if all(kind.kind in "biu" for kind in frame.dtypes):
        try:
            return np.array(frame.to_numpy(), dtype=np.int64)
        except (TypeError, ValueError):  # some are missing
            pass
    return frame.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)


def torch_array(array: Any) -> Any:
    """Return an array of numpy in a type that torch has.

    Long doubles become float64, and bytes in the other order are swapped.
    """
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
