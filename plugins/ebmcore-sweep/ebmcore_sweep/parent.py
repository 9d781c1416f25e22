"""The parent of other runs: its directory, its MLflow run, and its record of the children."""

from __future__ import annotations

import io
import math
import os
import socket
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ebmcore import EbmError, RunInterrupted
from ebmcore.config import Tracking
from ebmcore.masking import mask
from ebmcore.runs import (
    FIGURES,
    KEY_VARIABLE,
    PARENT_VARIABLE,
    RUN_VARIABLE,
    Account,
    RunDirectory,
    as_number,
    children_by_key,
    is_parent,
    parent_from_environment,
    provenance,
    read_children,
    register_child,
)
from ebmcore.terminal import say
from ebmcore.trackers import (
    DestinationError,
    Mirror,
    first_record,
    fit_name,
    recorded_target,
    run_tags,
)

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from ebmcore import Host

_PATIENT = 60.0  # seconds for the mirror to send the rest, while MLflow answers


class Parent:
    """A parent while its children run; as a context it records its end, for any cause.

    An exception that leaves the context makes it FAILED, an interrupt KILLED; else its `status`
    counts, FINISHED unless somebody set it to something else.
    """

    def __init__(self, directory: RunDirectory, mirror: Mirror | None = None) -> None:
        self.directory = directory
        self.mirror = mirror
        self.status = "FINISHED"  # its status at the end
        self.metrics: dict[str, float] = {}  # the last value of each
        self.warnings: list[str] = []
        self._began = time.monotonic()
        self._before = 0.0  # seconds of the sessions before this one

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.directory.path

    @classmethod
    def begin(
        cls,
        group: str,
        config: Mapping[str, Any],
        *,
        tracking: Tracking | None,
        host: Host | None = None,
        runs_dir: str | Path | None = None,
        params: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> Parent:
        """Create a parent's run directory, locked by this process, and start to send it to MLflow.

        Args:
            group: The kind of group that its children are, such as seeds or sweep.
            config: The resolved config that they have in common, with its `name` and `seed`; local
                plugin files that it names are copied.
            tracking: The config's section; None when tracking is off.
            host: The loaded plugins, to be recorded.
            runs_dir: As of any run.
            params: Further parameters of its MLflow run.
            facts: Further fields of run.json.

        Raises ConfigError when the directory can't be made.
        """
        directory = RunDirectory.create(str(config["name"]), runs_dir)
        record = dict(config)
        plugins = record.get("plugins")
        if isinstance(plugins, Mapping) and plugins.get("files"):
            files = directory.keep_plugin_files(list(plugins["files"]))
            record["plugins"] = {**plugins, "files": files}
        directory.write_config(record)
        told = parent_from_environment()  # a parent may be a child itself
        first = dict(
            status="RUNNING",
            name=record["name"],
            seed=record.get("seed", 0),
            group=group,
            parent=None if told is None else told._asdict(),
            from_config=True,
            started=directory.clock(),
            pid=os.getpid(),
            host=socket.gethostname(),
            params=dict(params or {}),
            children=[],
            **facts,
            **provenance(host),
        )
        mlflow = first_record(directory, tracking, str(record["name"]), _tags(directory, first))
        directory.update(**first, **mlflow)
        if told is not None:
            register_child(directory.path, told)
        parent = cls(directory)
        if tracking is not None:
            parent._start_mirror(tracking, named=True)
        return parent

    @classmethod
    def resume(
        cls, run_dir: str | Path, tracking: Tracking | None, *, named: bool = False
    ) -> Parent:
        """Resume a parent whose process has ended, with its children as they are.

        Deletes its metrics, since the caller writes them again. Sends nothing unless this user's
        installation recorded the place, or the user names it now: in the environment or, if `named`
        is true, by `tracking`, which else anybody may have written. Raises EbmError when the
        directory is no parent's, or another process is writing it.
        """
        directory = RunDirectory.open(run_dir)
        facts = directory.read()
        if not is_parent(facts):
            raise EbmError(f"{run_dir}: is a run of its own, not the parent of runs")
        directory.lock.acquire()
        directory.reserve()
        directory.rewind_metrics(-1)
        directory.end_events()
        directory.append_event(0, "resumed", pid=os.getpid(), host=socket.gethostname())
        directory.update(
            status="RUNNING", pid=os.getpid(), host=socket.gethostname(), ended=None, error=None
        )
        parent = cls(directory)
        before = as_number(facts.get("seconds"))
        parent._before = before if before is not None and 0 <= before < math.inf else 0.0
        if tracking is not None:
            parent._start_mirror(tracking, named=named)
        return parent

    def _start_mirror(self, tracking: Tracking, *, named: bool) -> None:
        facts = self.directory.read()
        params = {**self.directory.read_config(), **facts["params"]}
        tags = _tags(self.directory, facts)
        try:
            self.mirror = Mirror(
                self.directory, tracking, str(facts["name"]), params, tags, named=named, wait=False
            )
        except DestinationError as error:
            self.warn(f"nothing is sent to MLflow: {error}")
            if (recorded := recorded_target(facts)) is not None:
                self.directory.update(mlflow=recorded.record("behind"))
        else:
            self.mirror.start()

    def environment(self, key: str) -> dict[str, str]:
        """Return the variables that make any run the child of that name."""
        found = {PARENT_VARIABLE: str(self.path.absolute()), KEY_VARIABLE: key}
        if self.mirror is None:
            return found
        target = self.mirror.remote.target
        if mask(target.uri) != target.uri:  # the password is in no file and on no command line
            found["MLFLOW_TRACKING_URI"] = target.uri
        return {**found, RUN_VARIABLE: target.token}

    def children(self) -> dict[str, Account]:
        """Read the children: for each key the one that FINISHED, else the last to start.

        Records them in run.json.
        """
        found = children_by_key(read_children(self.path))
        self.directory.update(
            children=[
                {"key": key, "run_dir": account.path.name, "status": account.status}
                for key, account in found.items()
            ]
        )
        return found

    def write(self, step: int, metrics: Mapping[str, float], *, epoch: float = 0.0) -> None:
        """Record metrics at a step; steps come in order."""
        self.metrics |= metrics
        self.directory.append_metrics(step, epoch, metrics)

    def draw(self, name: str, figure: Figure) -> Path:
        """Write a figure to `figures/FOLDER/NAME.png` and return where.

        The name is FOLDER/NAME, as a metric's; a name alone has a folder of that name.
        """
        folder, _, last = fit_name(name).rpartition("/")
        folder, last = (p.replace("/", "_").lstrip(".") or "_" for p in (folder or last, last))
        png = io.BytesIO()
        figure.savefig(png, format="png")
        return self.directory.write(f"{FIGURES}/{folder}/{last}.png", png.getvalue())

    def update(self, **facts: Any) -> None:
        """Set fields of run.json."""
        self.directory.update(**facts)

    def warn(self, text: str) -> None:
        """Record a warning and show it."""
        text = mask(text)
        self.warnings.append(text)
        self.directory.log("WARNING", text)
        say(f"warning: {text}")

    @property
    def mlflow(self) -> dict[str, Any]:
        """Its place in MLflow, as run.json keeps it; empty when tracking is off."""
        return self.directory.read().get("mlflow") or {}

    def __enter__(self) -> Parent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Record the end, here and in MLflow, and release the directory."""
        if isinstance(error, (KeyboardInterrupt, RunInterrupted)):
            self.status = "KILLED"
        elif error is not None:
            self.status = "FAILED"
            self.directory.log("ERROR", "".join(traceback.format_exception(error)))
        try:
            self._close(None if self.status == "KILLED" else error)
        finally:
            self.directory.lock.release()

    def _close(self, failure: BaseException | None) -> None:
        with suppress(OSError):
            self.children()
        self.directory.update(
            status=self.status,
            ended=self.directory.clock(),
            seconds=round(self._before + time.monotonic() - self._began, 3),
            metrics={k: v if math.isfinite(v) else str(v) for k, v in self.metrics.items()},
            error=None if failure is None else str(failure),
        )
        if self.mirror is not None:
            self.mirror.finish(self.status, timeout=_PATIENT)
            for note in self.mirror.notes:
                self.warn(note)
            if self.mirror.problem:
                self.warn(f"the MLflow mirror is not complete: {self.mirror.problem}")
        self.directory.update(warnings=self.warnings)
        self.directory.release()


def _tags(directory: RunDirectory, facts: Mapping[str, Any]) -> dict[str, str]:
    return {**run_tags(directory.path, facts), "ebmcore.group": str(facts["group"])}
