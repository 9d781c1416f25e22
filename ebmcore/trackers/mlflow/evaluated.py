"""Metrics and pictures of `ebmcore evaluate`, shown by the run in MLflow below `evaluate/`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from ebmcore.errors import EbmError
from ebmcore.runs.jsonl import as_number
from ebmcore.runs.layout import EVALUATION
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.service_contracts import Point
from ebmcore.trackers.files import evaluation_files, opened_path
from ebmcore.trackers.mlflow.client import Remote, fit_name
from ebmcore.trackers.sender import batches

_SHOWN = "evaluate"  # the folder in MLflow, and the first word of the metrics
_LARGEST = 4 * 1024**2  # bytes of evaluation.json
_RESULTS = "evaluation.json"


def send_evaluation(remote: Remote, run_dir: Path) -> None:
    """Send the newest evaluation of a run, as far as MLflow lacks it; nothing where there is none.

    Raises EbmError when it can't be read or MLflow never takes it, and what MLflow raises.
    """
    found = [point for point in _points(run_dir) if not math.isinf(point.value)]
    held = remote.metrics() if found else {}
    new = [p for p in found if p.name not in held or not _is_last(remote, p)]
    for some in batches(new):
        remote.log_points(some)
    for file in evaluation_files(run_dir):
        inner = file.parent.relative_to(run_dir / EVALUATION)
        place = (_SHOWN / inner).as_posix()
        is_same = remote.sizes_in(place).get(file.name) == file.stat().st_size
        if new or not is_same:
            with opened_path(run_dir, file) as path:
                remote.upload(path, place)


def _points(run_dir: Path) -> Iterator[Point]:
    """Yield the metrics of evaluation.json, which anybody may have written."""
    file = run_dir / EVALUATION / _RESULTS
    if not file.is_file():
        return
    try:
        read = json.loads(SafeFiles(run_dir).read(f"{EVALUATION}/{_RESULTS}", _LARGEST))
        step, metrics, stamp = int(read["step"]), dict(read["metrics"]), file.stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EbmError(f"{file}: can't be read: {error!r:.200}") from error
    for name, value in metrics.items():
        number = as_number(value)
        if number is not None and 0 <= step < 2**63:
            yield Point(fit_name(f"{_SHOWN}/{name}"), step, stamp, number)


def _is_last(remote: Remote, point: Point) -> bool:
    """Tell whether this is MLflow's last value of the metric at that step."""
    values = [v for v in remote.values_of(point.name) if v.step == point.step]
    last = max(values, key=lambda value: value.timestamp, default=None)
    return last is not None and (
        last.value == point.value or (math.isnan(last.value) and math.isnan(point.value))
    )
