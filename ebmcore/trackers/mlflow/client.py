"""One run in MLflow, and the calls on it; every call may raise."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ebmcore.masking import mask
from ebmcore.runs.user_signature import is_signed, sign
from ebmcore.service_contracts import Point
from ebmcore.trackers.mlflow.artifacts import Artifacts, is_default
from ebmcore.trackers.mlflow.inputs import Rows
from ebmcore.trackers.mlflow.redirects import refused
from ebmcore.trackers.mlflow.store import ready
from ebmcore.trackers.mlflow.target import RUN_TAG, Target
from ebmcore.trackers.mlflow.uris import DestinationError, is_sqlite, is_web, sqlite_file
from ebmcore.trackers.sender import Left

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Run

P = ParamSpec("P")
T = TypeVar("T")

ANSWER = 5.0  # seconds in which a healthy server answers
_SLOW = 60.0  # seconds that an import, or the first use of a database, may take
_UPLOAD = 1e6  # bytes a second, the slowest acceptable upload
_SETTINGS = {  # defaults; the user's own settings win
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # this module retries itself
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for results alone
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",  # no part of a file bypasses the server
}
PARENT_TAG = "mlflow.parentRunId"
_PLACE_TAG = "ebmcore.artifacts"  # of an experiment made here: the seal of its place
_PLACE = "artifacts"  # the purpose of that seal
_BATCH = 100  # parameters or tags in one call, MLflow's limit
_TEXT = 6000  # characters of a parameter's value, MLflow's limit
_NAME = 250  # characters of a name, MLflow's limit
_UNFIT = re.compile(r"[^\w\-. :/]")  # characters that MLflow refuses in names
_TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # opens MLflow's page on training


class Gone(Exception):  # noqa: N818 (a state of things, told in its message)
    """Somebody deleted the run in MLflow."""


class Remote:
    """A run in MLflow, found again or created; it has no thread and no queue.

    `last_answer` is the time of MLflow's last answer (`time.monotonic`), `patience` the seconds
    that the present call may take.
    """

    def __init__(self, target: Target, name: str, started: float) -> None:
        self.target = target
        self.name = name
        self.started = started  # seconds since 1970
        self.last_answer = time.monotonic()
        self.patience = _SLOW
        self.notes: list[str] = []  # notes for the user about the destination
        self._client: MlflowClient | None = None
        self._files: Artifacts | None = None
        self.is_left: Callable[[], bool] = lambda: False  # tells whether nobody waits any more

    @property
    def run_id(self) -> str:
        """The run's id; valid once the run is open."""
        assert self.target.run_id is not None
        return self.target.run_id

    def open(self, parent: str | None = None) -> Run:
        """Find the run, by its id or its tag, or create it and its experiment.

        A new run is a child from its first moment if `parent`, the value of its parent's tag, is
        found. Raises Gone when somebody deleted it, and what MLflow raises.
        """
        client = self._connected()
        number = self._experiment(client)
        run = self._named(client) or self._tagged(client, number, self.target.token)
        if run is None:
            above = None if parent is None else self._tagged(client, number, parent)
            run = self._call(
                client.create_run,
                number,
                start_time=int(self.started * 1000),
                tags={
                    **{fit_name(key): mask(value) for key, value in self.target.tags.items()},
                    **({} if above is None else {PARENT_TAG: above.info.run_id}),
                    RUN_TAG: self.target.token,
                },
                run_name=self.name,
            )
        if run.info.lifecycle_stage != "active":
            raise Gone(f"run {run.info.run_id} was deleted in MLflow; restore it there")
        if run.info.run_id != self.target.run_id:
            self._files = None
        self.target = self.target._replace(
            run_id=run.info.run_id, experiment_id=run.info.experiment_id
        )
        return run

    def _connected(self) -> MlflowClient:
        if self._client is not None:
            return self._client
        self.patience = _SLOW
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(
            logging.CRITICAL
        )  # the mirror reports an outage itself
        uri = self.target.uri
        with _database_lock(uri), refused():
            if is_sqlite(uri):
                self.notes += ready(sqlite_file(uri))
            client = MlflowClient(tracking_uri=uri)
            self.last_answer = time.monotonic()
            self.patience = _SLOW if is_sqlite(uri) else ANSWER
            client.get_experiment_by_name(self.target.experiment)
        self.last_answer, self.patience = time.monotonic(), ANSWER
        self._client = client
        return client

    def _experiment(self, client: MlflowClient) -> str:
        """Return the experiment's id; two runs that create it at once get the same one."""
        from mlflow.exceptions import MlflowException

        name = self.target.experiment
        found = self._call(client.get_experiment_by_name, name)
        if found is None:
            try:
                made = self._call(client.create_experiment, name, tags=_TRAINING)
                return self._seal_place(client, made)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._call(client.get_experiment_by_name, name)
        assert found is not None
        number: str = found.experiment_id
        return number

    def _seal_place(self, client: MlflowClient, number: str) -> str:
        """Record for a new experiment in a database that its files are in MLflow's default place.

        A run in another folder can then tell it from a place that somebody else wrote there.
        """
        if is_web(self.target.uri):
            return number
        place = self._call(client.get_experiment, number).artifact_location
        sealed = sign(_PLACE, place) if is_default(place, self.target.uri) else None
        if sealed is not None:
            self._call(client.set_experiment_tag, number, _PLACE_TAG, sealed)
        return number

    def files(self) -> Artifacts:
        """Return the run's files in MLflow. Raises MisplacedError when they would go elsewhere."""
        assert self._client is not None
        if self._files is None:
            run = self._call(self._client.get_run, self.run_id)
            self._files = self.files_at(run.info.artifact_uri, self.run_id, run.info.experiment_id)
        return self._files

    def files_at(self, place: str, owner: str, experiment_id: str) -> Artifacts:
        """Return the files of a run or a model of an experiment; `owner` is its id.

        Raises MisplacedError when MLflow keeps them at a foreign place.
        """
        uri, known = self.target.uri, list[str]()
        if not is_web(uri):
            known = _sealed_place(self.ask("get_experiment", experiment_id))
        return Artifacts(place, uri, owner, known)

    @contextmanager
    def busy_here(self) -> Iterator[None]:
        """Within, MLflow isn't asked for anything for a while, so it isn't quiet."""
        self.patience = _SLOW
        try:
            yield
        finally:
            self.last_answer, self.patience = time.monotonic(), ANSWER

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of MLflow's client; connects first if need be."""
        return self._call(getattr(self._connected(), method), *args, **kwargs)

    def _named(self, client: MlflowClient) -> Run | None:
        """Return the run that run.json names, unless it is missing or another one."""
        from mlflow.exceptions import MlflowException

        if self.target.run_id is None:
            return None
        try:
            run: Run = self._call(client.get_run, self.target.run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        tag = run.data.tags.get(RUN_TAG)  # a run.json from elsewhere may name any run
        ours = tag == self.target.token if tag else run.info.run_name == self.name
        return run if ours else None

    def find(self, token: str) -> str | None:
        """Return the id of another run of the experiment, by the value of its tag."""
        assert self._client is not None
        assert self.target.experiment_id is not None
        run = self._tagged(self._client, self.target.experiment_id, token)
        return None if run is None else str(run.info.run_id)

    def _tagged(self, client: MlflowClient, experiment_id: str, token: str) -> Run | None:
        from mlflow.entities import ViewType

        what = f"tags.`{RUN_TAG}` = '{token}'"
        found = self._call(client.search_runs, [experiment_id], what, ViewType.ALL)
        return found[0] if found else None

    def log_points(self, points: Sequence[Point], **of: str) -> None:
        """Send values of metrics, at most 1000; `of` names the model and the data they belong to.

        A database has each once, however often it is sent.
        """
        from mlflow.entities import Metric

        assert self._client is not None
        metrics = [Metric(p.name, p.value, int(p.time * 1000), p.step, **of) for p in points]
        self._call(self._client.log_batch, self.run_id, metrics=metrics)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Send parameters."""
        from mlflow.entities import Param

        assert self._client is not None
        fit = {fit_name(key): mask(str(value))[:_TEXT] for key, value in params.items()}
        found = [Param(key, value) for key, value in fit.items()]
        for start in range(0, len(found), _BATCH):
            part = found[start : start + _BATCH]
            self._call(self._client.log_batch, self.run_id, params=part)

    def log_inputs(self, rows: Sequence[Rows]) -> None:
        """Add data sets to the run's inputs."""
        assert self._client is not None
        self._call(self._client.log_inputs, self.run_id, [part.written() for part in rows])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        assert self._client is not None
        found = [RunTag(key, mask(value)) for key, value in tags.items()]
        for start in range(0, len(found), _BATCH):
            self._call(self._client.log_batch, self.run_id, tags=found[start : start + _BATCH])

    def values_of(self, metric: str) -> Sequence[Metric]:
        """Return all values of a metric."""
        assert self._client is not None
        return self._call(self._client.get_metric_history, self.run_id, metric)

    def metrics(self) -> Collection[str]:
        """Return the names of the run's metrics."""
        assert self._client is not None
        return set(self._call(self._client.get_run, self.run_id).data.metrics)

    def sizes_in(self, place: str) -> dict[str, int]:
        """Return the files in a folder of artifacts in MLflow, and their sizes in bytes.

        Raises MisplacedError, as `upload` does, when MLflow keeps files at a foreign place.
        """
        return self.sizes(self.files(), place)

    def sizes(self, files: Artifacts, place: str) -> dict[str, int]:
        """Return the files in a folder of the artifacts of a run or a model, with their sizes."""
        return self._call(files.sizes, place)

    def upload(self, file: Path, place: str) -> None:
        """Send a file into a folder of artifacts."""
        self.send(self.files(), file, place)

    def send(self, files: Artifacts, file: Path, place: str) -> None:
        """Send a file into a folder of the artifacts of a run or a model."""
        self.patience = ANSWER + file.stat().st_size / _UPLOAD
        self._call(files.upload, file, place)

    def names(self, files: Artifacts, place: str) -> list[tuple[str, bool]]:
        """Return the names in a folder of artifacts, each with whether it is a folder itself."""
        return self._call(files.names, place)

    def fetch(self, files: Artifacts, name: str, to: Path) -> None:
        """Download a file of the artifacts of a run or a model."""
        self._call(files.download, name, to)

    def set_running(self) -> None:
        """Set the run's status to RUNNING."""
        assert self._client is not None
        self._call(self._client.update_run, self.run_id, status="RUNNING")

    def set_ended(self, status: str, ended: float) -> None:
        """Set the run's final status, and its end in seconds since 1970."""
        assert self._client is not None
        self._call(self._client.set_terminated, self.run_id, status, int(ended * 1000))

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self.is_left():
            raise Left
        with refused():
            found = function(*args, **kwargs)
        self.last_answer, self.patience = time.monotonic(), ANSWER
        return found


def is_refusal(error: Exception) -> bool:
    """Tell whether MLflow answered that it will never accept the data."""
    return getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE"


def fit_name(name: str) -> str:
    """Return a metric's or parameter's name in a form that MLflow accepts."""
    parts = _UNFIT.sub("_", name)[:_NAME].split("/")
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)


def _sealed_place(experiment: Experiment) -> list[str]:
    """Return the place of an experiment's files, if this user's installation chose it."""
    place = experiment.artifact_location
    return [place] if is_signed(experiment.tags.get(_PLACE_TAG), _PLACE, place) else []


def _database_lock(uri: str) -> AbstractContextManager[Any]:
    """Return a lock on a sqlite file, since two processes that first use it at once break it."""
    if not is_sqlite(uri):
        return nullcontext()
    from filelock import FileLock

    file = sqlite_file(uri)
    lock = file.with_name(f".{file.name}.lock")
    if lock.is_symlink():
        raise DestinationError(f"{lock}: is a link to another place; remove it")
    return FileLock(lock, timeout=_SLOW)
