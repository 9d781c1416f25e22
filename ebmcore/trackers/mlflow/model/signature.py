"""The signature of a run's MLflow model, and its input example.

A table has a column for each number of an event, by the names that the dataset gave; each takes any
type of number, since a column of whole numbers is int64 in one file and float64 in another, and
MLflow would turn away the one that it isn't told. Other events are one tensor (-1, *event) of the
dataset's own type. An energy of labels or of masked sequences takes further inputs by name:

    table     columns, y
    tensors   x, y, mask
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ebmcore.runs.example import Example

DEFAULTS = {"what": "energy", "n": 0, "n_steps": 0, "seed": 0, "label": None}  # of `predict`
_LABELS = ("y", "label", "condition")


class Written(NamedTuple):
    """An input example as MLflow keeps it."""

    info: dict[str, str]  # for MLmodel
    content: Any  # of input_example.json
    request: dict[str, Any]  # of serving_input_example.json


def label_column(columns: Sequence[str]) -> str:
    """Return the name of the labels beside the columns of a table: `y`, unless that is taken."""
    return next((name for name in _LABELS if name not in columns), "ebmcore_label")


def signature(example: Example | None, columns: Sequence[str] | None, dtype: str) -> dict[str, str]:
    """Return a model's signature as MLmodel has it; `dtype` is that of its energies."""
    kinds = {str: "string", int: "long", type(None): "double"}
    params = [
        {"name": name, "default": value, "shape": None, "type": kinds[type(value)]}
        for name, value in DEFAULTS.items()
    ]
    found = {"outputs": [_tensor(np.dtype(dtype), (-1,))], "params": params}
    if example is not None and is_table(example, columns):
        names = _columns(example, columns)
        own = len(columns or ())  # labels may come as a parameter
        found["inputs"] = [
            {"type": "any", "name": name, "required": i < own} for i, name in enumerate(names)
        ]
    elif example is not None:
        arrays = _arrays(example)
        specs = {name: _tensor(of.dtype, (-1, *of.shape[1:])) for name, of in arrays.items()}
        named = [{**spec, "name": name} for name, spec in specs.items()]
        found["inputs"] = named if len(named) > 1 else [*specs.values()]
    return {name: json.dumps(of) for name, of in found.items()}


def _tensor(dtype: np.dtype[Any], shape: tuple[int, ...]) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": str(dtype), "shape": list(shape)}}


def written(example: Example, columns: Sequence[str] | None) -> Written:
    """Return an example in the form in which MLflow keeps one beside a model."""
    info = {"artifact_path": "input_example.json", "serving_input_path": SERVING}
    arrays = _arrays(example)
    if is_table(example, columns):
        rows = [[_shortest(v) for v in row] for row in arrays["x"]]
        if "y" in arrays:
            rows = [[*row, _shortest(y)] for row, y in zip(rows, arrays["y"], strict=True)]
        split = {"columns": _columns(example, columns), "data": rows}
        whole = {**info, "type": "dataframe", "pandas_orient": "split"}
        return Written(whole, split, {"dataframe_split": split})
    held: Any = {name: of.tolist() for name, of in arrays.items()}
    held = held if len(held) > 1 else held["x"]
    return Written({**info, "type": "ndarray"}, held, {"inputs": held})


SERVING = "serving_input_example.json"


def is_table(example: Example, columns: Sequence[str] | None) -> bool:
    """Tell whether events are rows of named columns, each with one label at most."""
    flat = example.x.ndim == 2 and (example.y is None or example.y.ndim == 1)
    return bool(columns) and flat and example.mask is None


def _columns(example: Example, columns: Sequence[str] | None) -> list[str]:
    names = list(columns or ())
    return names if example.y is None else [*names, label_column(names)]


def _arrays(example: Example) -> dict[str, Any]:
    return {name: of.numpy() for name, of in example._asdict().items() if of is not None}


def _shortest(value: Any) -> int | float:
    """Return a number with no more digits than its type holds: 0.1, not 0.10000000149."""
    return float(str(value)) if np.issubdtype(value.dtype, np.floating) else int(value)
