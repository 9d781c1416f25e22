"""Trackers to be put through outages, and what they must hold in the end."""

import re
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing

import pytest

from ebmcore import RefusedError
from ebmcore.trackers import Followers, as_trackers, tracked_run
from support import ROOT
from support.servers import recorded


def documented():
    """Return the tracker of docs/plugins/trackers.md."""
    found = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs/plugins/trackers.md").read_text(), re.S | re.M
    )
    (code,) = [block for block in found if "@ebmcore.tracker" in block]
    names = {}
    exec(code, names)
    return names["Table"]


class Table(documented()):
    """The example of the guide, made to misbehave."""

    def __init__(self, file):
        super().__init__(file=str(file))
        self.is_hanging, self.refuses = threading.Event(), ""
        self.calls, self.forgets = 0, ()

    def log_points(self, points):
        while self.is_hanging.is_set():
            time.sleep(0.05)
        if any(point.name == self.refuses for point in points):
            raise RefusedError(f"no {self.refuses} here")
        super().log_points(points)
        self.calls += 1
        if self.calls in self.forgets:
            raise ConnectionError("the answer was lost")


class Case:
    """One kind of tracker: its node in a config, its files, and what it holds."""

    def __init__(self, kind, folder):
        self.kind, self.folder = kind, folder
        self.file = folder / {"mlflow": "mlflow.db", "tensorboard": "logs"}.get(kind, "table.db")

    def make(self):
        if self.kind == "table":
            return Table(self.file)
        if self.kind == "mlflow":
            return None
        from ebmcore_tensorboard import TensorBoard

        return TensorBoard(log_dir=str(self.file))

    def held(self, directory):
        if self.kind == "table":
            with closing(sqlite3.connect(self.file)) as table:
                return Counter(table.execute("SELECT name, step FROM points"))
        if self.kind == "mlflow":
            from mlflow import MlflowClient

            client = MlflowClient(f"sqlite:///{self.file}")
            run_id = directory.read()["mlflow"]["run_id"]
            names = client.get_run(run_id).data.metrics
            return Counter(
                (name, value.step)
                for name in names
                for value in client.get_metric_history(run_id, name)
            )
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        seen = EventAccumulator(str(self.file / directory.path.name), {"scalars": 0})
        seen.Reload()
        return Counter(
            (name, value.step) for name in seen.Tags()["scalars"] for value in seen.Scalars(name)
        )


def follow(directory, tracker, warn=pytest.fail, *, named=True):
    run = tracked_run(directory, directory.read(), config={"a": {"b": 1}}, named=named)
    return Followers(directory, as_trackers(tracker), run, warn, wait=False)


def write(directory, steps):
    for step in steps:
        directory.append_metrics(step, 0.0, {"loss": step / 7, "monitor/one": 1.0})


def points(directory):
    return Counter((name, step) for name, step, _ in recorded(directory.path).elements())
