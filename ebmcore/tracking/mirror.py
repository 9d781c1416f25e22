"""The MLflow mirror: one background thread that sends what the run directory holds.

The thread reads `metrics.jsonl` from where it last got to and looks for new pictures, so the run
directory itself is the queue: the training loop never waits, nothing is held in memory, and what
could not be sent is still there.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebmcore.config.sections import Tracking
from ebmcore.tracking.directory import RunDirectory, read_metrics

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
_UNFIT = re.compile(r"[^\w\-. :/]")  # what MLflow takes in no metric's name
_TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # opens the page on training
_INTERVAL = 1.0  # seconds between two looks at the run directory
_BATCH = 1000  # metrics in one call of log_batch, MLflow's limit
_PARAMS = 100  # parameters in one call, MLflow's limit
_TEXT = 6000  # characters of a parameter's value, MLflow's limit


def tracking_uri(tracking: Tracking) -> str:
    """Return where the mirror is: the config's word, else the environment's, else sqlite here.

    A sqlite file is named by its whole path: MLflow keeps open what a relative one once meant.
    """
    uri = tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    scheme, slashes, path = uri.partition(":///")
    return uri if scheme != "sqlite" else f"{scheme}{slashes}{Path(path).absolute()}"


class Mirror:
    """Sends one run to MLflow in the background; whatever goes wrong there stays there."""

    def __init__(
        self,
        directory: RunDirectory,
        tracking: Tracking,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> None:
        self.directory = directory
        self.uri = tracking_uri(tracking)
        self.experiment = tracking.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
        self.params = dict(flatten(params))
        self.tags = {**tags, **tracking.tags}
        self.run_id: str | None = None
        self.problem: str | None = None
        self._status: str | None = None
        self._client: MlflowClient | None = None
        self._sent = 0  # bytes of metrics.jsonl
        self._pictures: set[Path] = set()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ebmcore-mlflow", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def finish(self, status: str, timeout: float = 60.0) -> None:
        """Send the rest and the status; give up after `timeout` seconds and say so in `problem`."""
        self._status = status
        self._wake.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self.problem = f"MLflow at {self.uri} didn't answer within {timeout:.0f} s"

    def _work(self) -> None:
        try:
            client = self._connect()
            while self._status is None:
                self._send(client)
                self._wake.wait(_INTERVAL)
            self._send(client)
            self._send_artifacts(client)
        except Exception as error:  # a mirror that breaks is reported, and never stops a run
            self._broke(error)
        self._terminate()

    def _terminate(self) -> None:
        """Give MLflow the run's status, whatever else could not be sent."""
        while self._status is None:
            self._wake.wait()
        if self._client is None or self.run_id is None:
            return
        try:
            self._client.set_terminated(self.run_id, self._status)
        except Exception as error:
            self._broke(error)

    def _broke(self, error: Exception) -> None:
        first = str(error).strip().splitlines()
        self.problem = f"{type(error).__name__}: {first[0] if first else ''}"
        self.directory.log("WARNING", f"MLflow: {error}")

    def _connect(self) -> MlflowClient:
        for name, value in (("MAX_RETRIES", "2"), ("TIMEOUT", "10")):
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
        from mlflow import MlflowClient
        from mlflow.entities import Param

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        with _database_lock(self.uri):
            client = self._client = MlflowClient(tracking_uri=self.uri)
            experiment = client.get_experiment_by_name(self.experiment)
            experiment_id = (
                experiment.experiment_id
                if experiment is not None
                else client.create_experiment(self.experiment, tags=_TRAINING)
            )
        run = client.create_run(experiment_id, tags=self.tags, run_name=self.directory.path.name)
        self.run_id = run.info.run_id
        self.directory.update(
            mlflow={"uri": self.uri, "experiment_id": experiment_id, "run_id": self.run_id}
        )
        params = [Param(key, str(value)[:_TEXT]) for key, value in self.params.items()]
        for part in _parts(params, _PARAMS):
            client.log_batch(self.run_id, params=part)
        client.log_artifact(self.run_id, str(self.directory.config_file))
        return client

    def _send(self, client: MlflowClient) -> None:
        from mlflow.entities import Metric

        assert self.run_id is not None
        lines, end = self._new_lines()
        metrics = [
            Metric(_UNFIT.sub("_", name), value, int(stamp * 1000), step)
            for step, stamp, values in map(read_metrics, lines)
            for name, value in values.items()
            if not math.isinf(value)  # MLflow would store 1.8e308, a number nobody measured
        ]
        for part in _parts(metrics, _BATCH):
            client.log_batch(self.run_id, metrics=part)
        self._sent = end
        for picture in sorted(self.directory.figures.glob("*/*.png")):
            if picture not in self._pictures:
                folder = picture.parent.relative_to(self.directory.path)
                client.log_artifact(self.run_id, str(picture), folder.as_posix())
                self._pictures.add(picture)

    def _new_lines(self) -> tuple[list[str], int]:
        """Return the whole lines that were not sent yet, and where they end."""
        if not self.directory.metrics_file.exists():
            return [], self._sent
        with self.directory.metrics_file.open("rb") as file:
            file.seek(self._sent)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        return whole.decode().splitlines(), self._sent + len(whole)

    def _send_artifacts(self, client: MlflowClient) -> None:
        """Send the weights, the log and the local plugin files."""
        assert self.run_id is not None
        last = sorted(self.directory.checkpoints.glob("step-*"))[-1:]
        for folder in (*last, self.directory.path / "plugins"):
            if folder.is_dir():
                place = folder.relative_to(self.directory.path).as_posix()
                client.log_artifacts(self.run_id, str(folder), place)
        log = self.directory.path / "log.txt"
        if log.exists():
            client.log_artifact(self.run_id, str(log))


def flatten(values: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the leaves of a config as dotted keys; a list of plain values is one leaf."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, list) and any(isinstance(value, Mapping) for value in values):
        for index, value in enumerate(values):
            yield from flatten(value, f"{prefix}.{index}")
    else:
        yield prefix, values if isinstance(values, str) else json.dumps(values)


def _parts(items: list[Any], size: int) -> Iterable[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _database_lock(uri: str) -> AbstractContextManager[Any]:
    """Return a lock on a sqlite file: its first use by two processes at once breaks it."""
    scheme, _, path = uri.partition(":///")
    if scheme != "sqlite":
        return nullcontext()
    from filelock import FileLock

    file = Path(path)
    return FileLock(file.with_name(f".{file.name}.lock"), timeout=60)
