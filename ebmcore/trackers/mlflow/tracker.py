"""MLflow as a tracker: one run in MLflow for each run directory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from ebmcore.config import Tracking
from ebmcore.errors import EbmError, RefusedError
from ebmcore.runs.jsonl import is_plain
from ebmcore.runs.layout import SUMMARY
from ebmcore.runs.parent_child import is_parent, parent_token
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.runs.status import read_account
from ebmcore.service_contracts import Point, TrackedRun, Tracker
from ebmcore.trackers.flatten import flatten
from ebmcore.trackers.mlflow.artifacts import MisplacedError
from ebmcore.trackers.mlflow.client import PARENT_TAG, Remote, fit_name, is_refusal
from ebmcore.trackers.mlflow.evaluated import send_evaluation
from ebmcore.trackers.mlflow.inputs import inputs
from ebmcore.trackers.mlflow.system import SystemMetrics
from ebmcore.trackers.mlflow.target import (
    Target,
    new_target,
    new_token,
    recorded_target,
    tracking_uri,
)
from ebmcore.trackers.mlflow.trusted_destinations import destination
from ebmcore.trackers.tags import run_title

_EVENTS = 999  # events that become tags; all of them are in events.jsonl
_TEXT = 5000  # characters of a tag that every MLflow takes
_NO_MODELS = (  # answers of a server that takes no model, or none of that name
    "INVALID_PARAMETER_VALUE",
    "ENDPOINT_NOT_FOUND",
    "NOT_IMPLEMENTED",
    "FEATURE_DISABLED",
    "PERMISSION_DENIED",
)
_DESCRIPTION = "mlflow.note.content"
_PARENT = 10.0  # seconds between two searches for a parent that isn't in MLflow yet
_BAND = (".low", ".high")  # after a metric's name: the ends of its band over a parent's children
_PARAMS = 2000  # the most parameters of an ended run, whose config anybody may have written


class MLflow(Tracker):
    """A run in MLflow, in a database or on a server.

    Args:
        experiment: The experiment's name; by default MLFLOW_EXPERIMENT_NAME, else the run's name.
        uri: The server or database; by default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.
        tags: Further tags of the MLflow run.
        register: A name in MLflow's registry: a run that FINISHED becomes its next version.
        checkpoints: Those that a run sends at its end: weights, which score and sample; last,
            the last one whole as well, so that a run that was stopped resumes from there; or none.
        input_example: Whether the MLflow model comes with a few rows of the data as an example.
    """

    checks_destination = True
    check_params: ClassVar[Mapping[str, Any]] = {"uri": "sqlite:///mlflow.db"}  # never a server

    def __init__(
        self,
        *,
        experiment: str | None = None,
        uri: str | None = None,
        tags: dict[str, str] | None = None,
        register: str | None = None,
        checkpoints: Literal["weights", "last", "none"] = "weights",
        input_example: bool = True,
    ) -> None:
        self.section = Tracking(
            experiment=experiment,
            uri=uri,
            tags=dict(tags or {}),
            register=register,
            checkpoints=checkpoints,
            input_example=input_example,
        )
        self.takes_checkpoints = checkpoints == "last"

    def begin(self, run: TrackedRun) -> None:
        """Choose the place; raises DestinationError when it isn't the user's."""
        target = recorded_target({"mlflow": run.recorded, "name": run.name})
        if target is None:
            target = new_target(self.section, run.name, run.dir.name, run.tags)
        elif not (run.named or target.is_ours):  # a name in the registry is the user's to give
            self.section = replace(self.section, register=None)
        uri = destination(target, [tracking_uri(self.section)] if run.named else ())
        token = target.token or new_token(run.dir.name)
        self.follow(run, target._replace(uri=uri, token=token).sealed())

    def follow(self, run: TrackedRun, target: Target) -> None:
        """Show the run at this place, which the caller has checked."""
        self.run = run
        facts = read_account(run.dir).facts
        self.remote = Remote(target, run_title(run.dir, facts), run.started)
        self.remote.is_left = run.is_left
        self._is_parent = is_parent(facts)
        self._system = SystemMetrics(run, self._note)
        self._known: set[str] = set()  # parameters that MLflow has
        self._inputs: set[tuple[str, str]] = set()  # names and digests of the data that it has
        self._parent = parent_token(run.dir)  # not yet recorded in MLflow, as far as known
        self._seek_parent = 0.0  # the time of the next search, by time.monotonic

    def open(self) -> bool:
        """Find the run or make it; a run that goes on is set to RUNNING."""
        if self.run.live and not self._is_parent:
            self._system.start()
        before = self.remote.target.run_id
        run = self.remote.open(parent_token(self.run.dir))
        is_other = run.info.run_id != before
        if is_other:
            named = PARENT_TAG in run.data.tags
            self._parent = None if named else parent_token(self.run.dir)
        self._known = set(run.data.params)
        listed = getattr(run.inputs, "dataset_inputs", None) or ()
        self._inputs = {(one.dataset.name, one.dataset.digest) for one in listed}
        if self.run.live and run.info.status != "RUNNING":
            self.remote.set_running()
        return is_other and not run.data.params

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Send the data as inputs, and the leaves of the config as parameters."""
        self._seek_parent = 0.0
        self._name_parent()
        self._log_inputs(config)
        leaves = dict(islice(flatten(config), None if self.run.live else _PARAMS))
        missing = {k: v for k, v in leaves.items() if fit_name(k) not in self._known}
        _refusing(lambda: self.remote.log_params(missing))

    def steps_of(self, metric: str) -> Iterable[int]:
        """Return the steps at which MLflow has a value of the metric."""
        return (value.step for value in self.remote.values_of(fit_name(metric)))

    def log_points(self, points: Sequence[Point]) -> None:
        """Send values, but no infinity: MLflow would store 1.8e308, which nobody measured.

        The ends of a parent's bands are left out: their pictures show them.
        """
        self._name_parent()
        fit = [
            p._replace(name=fit_name(p.name))
            for p in points
            if not (math.isinf(p.value) or (self._is_parent and p.name.endswith(_BAND)))
        ]
        if not fit:
            return
        try:
            _refusing(lambda: self.remote.log_points(fit))
        except RefusedError:
            self.remote.open()  # raises Gone when all is refused since the run was deleted
            raise

    def log_events(self, lines: Mapping[int, str]) -> None:
        """Make a tag of each event."""
        tags = {f"ebmcore.event.{n:03d}": v[:_TEXT] for n, v in lines.items() if n <= _EVENTS}
        _refusing(lambda: self.remote.set_tags(tags))

    def sizes_in(self, folder: str) -> Mapping[str, int]:
        """Return the files in a folder of artifacts, and their sizes in bytes."""
        return self.remote.sizes_in(folder)

    def log_file(self, file: Path, folder: str) -> None:
        """Send a file into a folder of artifacts."""
        self.remote.upload(file, folder)

    def end(self, status: str, ended: float) -> None:
        """Send the model, set the final status, and the parent, which may have come meanwhile."""
        self._system.stop()
        self._seek_parent = 0.0
        self._name_parent()
        if status == "KILLED":  # its process must end soon
            self.remote.set_ended(status, ended)
            self._send_model(status)
        else:
            self._send_model(status)
            self.remote.set_ended(status, ended)
        self.log_evaluation()
        if is_plain(self.run.dir / SUMMARY):
            with SafeFiles(self.run.dir).open(SUMMARY) as opened:
                text = opened.read(_TEXT).decode(errors="ignore")
            self.remote.set_tags({_DESCRIPTION: text})

    def log_evaluation(self) -> None:
        """Show what `ebmcore evaluate` found, if it found anything."""
        try:
            send_evaluation(self.remote, self.run.dir)
        except EbmError as error:
            self._note(f"MLflow doesn't show all of the evaluation: {error}")

    def close(self) -> None:
        """Measure the machine no more."""
        self._system.stop()

    def _send_model(self, status: str) -> None:
        from ebmcore.trackers.mlflow.model.send import ModelSender

        try:
            ModelSender(self.remote, self.run.dir, self.section).send(status)
        except Exception as error:
            never = isinstance(error, RefusedError | NotImplementedError)
            if not never and getattr(error, "error_code", None) not in _NO_MODELS:
                raise
            if not (isinstance(error, MisplacedError) and self._sends_no_file()):
                self._note(f"the run's model is not whole there: {error}")

    def _sends_no_file(self) -> bool:
        """Tell whether MLflow keeps the run's own files at a foreign place, which is told then."""
        try:
            self.remote.files()
        except MisplacedError:
            return True
        return False

    def record(self) -> Mapping[str, Any]:
        """Return the server, the names and the ids."""
        return self.remote.target._asdict()

    @property
    def patience(self) -> float:  # type: ignore[override] # read anew each time
        """The seconds that the present call may take."""
        return self.remote.patience

    @property
    def answered(self) -> float:  # type: ignore[override] # read anew each time
        """The time of MLflow's last answer."""
        return self.remote.last_answer

    @property
    def place(self) -> str:  # type: ignore[override] # read anew each time
        """The URI."""
        return self.remote.target.uri

    @property
    def notes(self) -> Sequence[str]:  # type: ignore[override] # read anew each time
        """Notes about the database."""
        return self.remote.notes

    def _log_inputs(self, config: Mapping[str, Any]) -> None:
        """Show the run's data; what MLflow refuses, or a server before 2.4, becomes a note."""
        try:
            rows = inputs(self.run.dir, config)
            new = [part for part in rows if (part.name, part.digest) not in self._inputs]
            if new:
                self.remote.log_inputs(new)
        except Exception as error:
            unknown = getattr(error, "error_code", None) == "ENDPOINT_NOT_FOUND"
            if not (unknown or is_refusal(error) or isinstance(error, EbmError)):
                raise
            self._note(f"MLflow shows no data set: {str(error).partition(chr(10))[0]:.300}")

    def _note(self, text: str) -> None:
        if text not in self.remote.notes:
            self.remote.notes.append(text)

    def _name_parent(self) -> None:
        """Set the run's parent in MLflow, as soon as that is there."""
        now = time.monotonic()
        if self._parent is None or now < self._seek_parent:
            return
        self._seek_parent = now + _PARENT
        found = self.remote.find(self._parent)
        if found is not None:
            self.remote.set_tags({PARENT_TAG: found})
            self._parent = None


def _refusing(send: Callable[[], None]) -> None:
    """Call MLflow; an answer that it will never accept the data becomes a RefusedError."""
    try:
        send()
    except Exception as error:
        if not is_refusal(error):
            raise
        raise RefusedError(str(error)) from error
