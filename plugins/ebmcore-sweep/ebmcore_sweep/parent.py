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
from ebmcore.masking import mask
from ebmcore.runs import (
    FIGURES,
    KEY_VARIABLE,
    LABEL_VARIABLE,
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
    Followers,
    MLflow,
    Target,
    Trackers,
    TrackingArgument,
    as_trackers,
    first_record,
    fit_name,
    tracked_run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from ebmcore import Host

_PATIENT = 60.0  # seconds for the trackers to send the rest, while they answer
_SHOWN = 30.0  # seconds for the trackers to show a parent before its first child starts


class Parent:
    """A parent while its children run; as a context it records its end, for any cause.

    An exception that leaves the context makes it FAILED, an interrupt KILLED; else its `status`
    counts, FINISHED unless somebody set it to something else.
    """

    def __init__(self, directory: RunDirectory, followers: Followers | None = None) -> None:
        self.directory = directory
        self.followers = followers
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
        tracking: TrackingArgument,
        host: Host | None = None,
        runs_dir: str | Path | None = None,
        params: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> Parent:
        """Create a parent's run directory, locked by this process, and start its trackers.

        Args:
            group: The kind of group that its children are, such as seeds or sweep.
            config: The resolved config that they have in common, with its `name` and `seed`; local
                plugin files that it names are copied.
            tracking: A config's trackers or section; None when tracking is off.
            host: The loaded plugins, to be recorded.
            runs_dir: As of any run.
            params: Further parameters of its MLflow run.
            facts: Further fields of run.json.

        Raises ConfigError when the directory can't be made.
        """
        trackers = () if tracking is None else as_trackers(tracking)
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
        run = tracked_run(directory, first, config=record)
        directory.update(**first, **first_record(directory, trackers, run))
        if told is not None:
            register_child(directory.path, told)
        parent = cls(directory)
        parent._follow(trackers, named=True)
        return parent

    @classmethod
    def resume(
        cls, run_dir: str | Path, tracking: TrackingArgument, *, named: bool = False
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
        parent._follow(() if tracking is None else as_trackers(tracking), named=named)
        return parent

    def _follow(self, trackers: Trackers, *, named: bool) -> None:
        facts = self.directory.read()
        params = {**self.directory.read_config(), **facts["params"]}
        run = tracked_run(self.directory, facts, config=params, named=named)
        self.followers = Followers(self.directory, trackers, run, self.warn, wait=False)

    def wait_until_shown(self) -> None:
        """Wait until its trackers that answer show it, so that children nest there at once."""
        if self.followers is not None:
            self.followers.wait_until_open(_SHOWN)

    @property
    def followed(self) -> tuple[str, ...]:
        """The names of the trackers that it is sent to."""
        return () if self.followers is None else self.followers.names

    @property
    def mlflow_target(self) -> Target | None:
        """Its place in MLflow while it is sent there."""
        tracker = None if self.followers is None else self.followers.find(MLflow)
        return None if tracker is None else tracker.remote.target

    def environment(self, key: str) -> dict[str, str]:
        """Return the variables that make any run the child of that name."""
        found = {
            PARENT_VARIABLE: str(self.path.absolute()),
            KEY_VARIABLE: key,
            LABEL_VARIABLE: "",  # in place of this run's own, which may be a child
        }
        target = self.mlflow_target
        if target is None:
            return found
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
        """Record the end, here and in its trackers, and release the directory."""
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
        if self.followers is not None:
            for text in self.followers.finish(self.status, timeout=_PATIENT):
                self.warn(text)
        self.directory.update(warnings=self.warnings)
        self.directory.release()
