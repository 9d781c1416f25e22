"""A run's metrics as a table, and the paths of its pictures."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from ebmcore.errors import EbmError
from ebmcore.runs.jsonl import all_points
from ebmcore.runs.layout import METRICS
from ebmcore.trackers.files import pictures

_NAME = re.compile(r"(?:(?P<key>.+)-)?step-\d+")


def history_of(run_dir: Path) -> Any:
    """Return the recorded metrics as a DataFrame of pandas: a row a step, a column a metric.

    NaN stands where a metric wasn't recorded. Raises EbmError without pandas.
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise EbmError("run.history is a DataFrame: pip install pandas") from error
    found: dict[str, dict[int, float]] = {}
    for point in all_points(run_dir / METRICS):
        found.setdefault(point.name, {})[point.step] = point.value
    steps = sorted({step for values in found.values() for step in values})
    columns = {name: [values.get(step) for step in steps] for name, values in found.items()}
    index = pandas.Index(steps, name="step", dtype="int64")
    return pandas.DataFrame(columns, index=index, dtype="float64")


def figures_of(run_dir: Path) -> dict[str, list[Path]]:
    """Return the pictures of each monitor, in the order of their steps.

    The name is the monitor's for its `figure`, and MONITOR/KEY for any other picture of its.
    """
    found: dict[str, list[Path]] = {}
    for path in pictures(run_dir):
        match = _NAME.fullmatch(path.stem)
        key = match["key"] if match else path.stem
        found.setdefault(f"{path.parent.name}/{key}" if key else path.parent.name, []).append(path)
    return found
