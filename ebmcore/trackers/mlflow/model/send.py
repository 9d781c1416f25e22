"""Send the weights of an ended run: as MLflow models when it FINISHED, as artifacts otherwise.

Each model is there once: its tag `ebmcore.checkpoint` names the step and the hash of the checkpoint
that it holds, so that a call that is repeated, or `ebmcore runs sync` much later, finds it again,
and sends the files that are missing.

    model  the last checkpoint
    best   that of train.keep_best, if the run kept one

The registry gets `best` where there is one. A run of objects, of which one that a model needs can't
be made again, sends its weights as artifacts: `ebmcore.load("runs:/…", energy=…)` opens it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ebmcore.checkpoint.files import Checkpoint, newest
from ebmcore.checkpoint.weights_only import is_weights_only
from ebmcore.config.sections import Tracking
from ebmcore.errors import EbmError
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.jsonl import last_points
from ebmcore.runs.layout import CHECKPOINTS, METRICS
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.trackers.files import opened_path
from ebmcore.trackers.mlflow.artifacts import Artifacts
from ebmcore.trackers.mlflow.client import Remote, fit_name
from ebmcore.trackers.mlflow.inputs import inputs
from ebmcore.trackers.mlflow.model.layout import (
    ModelFile,
    model_files,
    record_files,
    weights_files,
)
from ebmcore.trackers.mlflow.model.names import BEST, MODEL, quoted
from ebmcore.trackers.mlflow.model.needed import missing_parts
from ebmcore.trackers.sender import batches

_NEEDED = ("energy", "networks", "transforms")  # without which no model opens
_CHECKPOINT_TAG = "ebmcore.checkpoint"
_VERSIONS_TAG = "mlflow.modelVersions"  # of a model: what MLflow's page of it links to
_MODELS_TAG = "ebmcore.model"  # of a run: the names of its models, or why it has none


class ModelSender:
    """Sends the weights of one run; every method may raise, and is then called again.

    Args:
        remote: The run in MLflow, which is open.
        run_dir: Its directory.
        section: What the run's config says of MLflow.
    """

    def __init__(self, remote: Remote, run_dir: Path, section: Tracking) -> None:
        self.remote = remote
        self.run_dir = run_dir
        self.section = section

    def send(self, status: str) -> None:
        """Send what the server lacks, by the run's final status."""
        downloaded = is_weights_only(self.run_dir / CHECKPOINTS)  # whose model is there already
        if downloaded or self.section.checkpoints == "none":
            return
        directory = RunDirectory(self.run_dir)
        try:
            with self.remote.busy_here():
                last = Checkpoint.last(self.run_dir / CHECKPOINTS)
            facts = directory.read()
        except (EbmError, OSError, ValueError):
            return  # it ended before its first checkpoint
        missing = missing_parts(directory.read_config())
        lacks = next((f"{key}: {missing[key]}" for key in _NEEDED if key in missing), "")
        made_of = f"the run was made of objects, and one can't be made again: {lacks}"
        why = f"it ended as {status}" if status != "FINISHED" else ""
        if why := made_of if lacks else why:
            self.remote.set_tags({_MODELS_TAG: f"none: {why}"})
        if why or self.section.checkpoints == "last":
            self._send_run(last, whole=self.section.checkpoints == "last")
        if not why:
            self._send_models(directory, facts, last)

    def _send_models(
        self, directory: RunDirectory, facts: Mapping[str, Any], last: Checkpoint
    ) -> None:
        config, chosen = directory.read_config(), {MODEL: last}
        best = facts.get("best")
        if isinstance(best, Mapping) and isinstance(step := best.get("step"), int):
            with self.remote.busy_here(), suppress(EbmError):  # it was altered since
                chosen[BEST] = Checkpoint.of(self.run_dir / CHECKPOINTS, step)
        ids = {}
        for name, checkpoint in chosen.items():
            ids[name] = self._model(name, checkpoint, facts, config)
        there = {of.model_id for of in self._run_outputs()}
        from mlflow.entities import LoggedModelOutput

        missing = [
            LoggedModelOutput(of, chosen[name].step) for name, of in ids.items() if of not in there
        ]
        if missing:
            self.remote.ask("log_outputs", self.remote.run_id, missing)
            self.remote.set_tags({_MODELS_TAG: ", ".join(ids)})
        if self.section.register:
            self._register(self.section.register, ids.get(BEST, ids[MODEL]))

    def _run_outputs(self) -> list[Any]:
        outputs = self.remote.ask("get_run", self.remote.run_id).outputs
        return list(outputs.model_outputs) if outputs else []

    def _model(
        self,
        name: str,
        checkpoint: Checkpoint,
        facts: Mapping[str, Any],
        config: Mapping[str, Any],
    ) -> str:
        """Make a model in MLflow, or finish one that was begun; return its id."""
        manifest = json.dumps(checkpoint.manifest, sort_keys=True)
        mark = f"{checkpoint.step} {hashlib.sha256(manifest.encode()).hexdigest()}"
        found = next((m for m in self._made(name) if m.tags.get(_CHECKPOINT_TAG) == mark), None)
        if found is not None and str(found.status) == "READY":
            return str(found.model_id)
        model = found or self.remote.ask(
            "create_logged_model",
            self.remote.target.experiment_id,
            name=name,
            source_run_id=self.remote.run_id,
            tags={_CHECKPOINT_TAG: mark},
            params={"step": str(checkpoint.step)},
            model_type="energy",
        )
        files = self.remote.files_at(model.artifact_location, model.model_id, model.experiment_id)
        ids = {
            "model_id": model.model_id,
            "run_id": self.remote.run_id,
            "artifact_path": model.artifact_location,
        }
        with TemporaryDirectory() as folder:
            spare = Path(folder)
            with self.remote.busy_here():
                kept = [*record_files(self.run_dir), *weights_files(checkpoint, spare / "run")]
            every = model_files(
                self.run_dir,
                facts,
                config,
                ids,
                kept,
                spare,
                with_example=self.section.input_example,
            )
            self._send_files(files, every)
        self._link_metrics(model.model_id, checkpoint.step, config)
        self.remote.ask("finalize_logged_model", model.model_id, "READY")
        return str(model.model_id)

    def _link_metrics(self, model_id: str, step: int, config: Mapping[str, Any]) -> None:
        """Show the run's metrics at the model's step, and the data, on the model's own page."""
        of: dict[str, str] = {}
        with suppress(EbmError):  # which the run's inputs tell of
            for data in inputs(self.run_dir, config)[:1]:
                of = {"dataset_name": data.name, "dataset_digest": data.digest}
        with self.remote.busy_here():
            points = last_points(self.run_dir / METRICS, step)
        held = self.remote.metrics()
        fit = [p._replace(name=fit_name(p.name)) for p in points if not math.isinf(p.value)]
        for some in batches([point for point in fit if point.name in held]):
            self.remote.log_points(some, model_id=model_id, **of)

    def _made(self, name: str) -> Iterator[Any]:
        """Yield the run's models of a name, the last one first."""
        found = self.remote.ask(
            "search_logged_models",
            [self.remote.target.experiment_id],
            filter_string=f"source_run_id = '{self.remote.run_id}'",
        )
        return (model for model in found if model.name == name)

    def _send_run(self, checkpoint: Checkpoint, *, whole: bool) -> None:
        """Send what opens as a run directory, or with `whole` resumes as one.

        The last checkpoint goes there like any other file of the run, if it is to be whole.
        """
        with TemporaryDirectory() as folder:
            more = self._to_resume() if whole else weights_files(checkpoint, Path(folder))
            self._send_files(self.remote.files(), [*record_files(self.run_dir), *more])

    def _to_resume(self) -> Iterator[ModelFile]:
        """Yield the metrics and the last whole checkpoint; a failed run's last one isn't whole."""
        yield ModelFile(self.run_dir / METRICS, "", in_run=True)
        if (path := newest(self.run_dir / CHECKPOINTS)) is not None:
            place = f"{CHECKPOINTS}/{path.name}"
            for name in SafeFiles(self.run_dir).names(place):
                yield ModelFile(path / name, place, in_run=True)

    def _send_files(self, files: Artifacts, every: Iterable[ModelFile]) -> None:
        """Send the files that aren't there, by their size."""
        there: dict[str, dict[str, int]] = {}
        for file in every:
            if file.folder not in there:
                there[file.folder] = self.remote.sizes(files, file.folder)
            opened = opened_path(self.run_dir, file.path) if file.in_run else nullcontext(file.path)
            with opened as path:
                if there[file.folder].get(path.name) != path.stat().st_size:
                    self.remote.send(files, path, file.folder)

    def _register(self, name: str, model_id: str) -> None:
        """Make a model the next version of a name in the registry, unless it is one of them."""
        from mlflow.exceptions import MlflowException

        try:
            self.remote.ask("create_registered_model", name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        run = f"run_id = '{self.remote.run_id}'"
        found = self.remote.ask("search_model_versions", f"name = '{quoted(name)}' and {run}")
        model = self.remote.ask("get_logged_model", model_id)
        made = next((of for of in found if of.source == model.artifact_location), None)
        made = made or self.remote.ask(
            "create_model_version",
            name,
            model.artifact_location,
            run_id=self.remote.run_id,
            description=f"{model.name}, step {model.params['step']}, of {self.run_dir.name}",
            model_id=model_id,
            await_creation_for=0,
        )
        if _VERSIONS_TAG not in model.tags:  # which a server sets, and a database doesn't
            versions = json.dumps([{"name": name, "version": int(made.version)}])
            self.remote.ask("set_logged_model_tags", model_id, {_VERSIONS_TAG: versions})
