"""What a run writes before its first step: the config, where everything came from, the mirror."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ebmcore.config import Tracking, Train
from ebmcore.runner.lifecycle import listeners
from ebmcore.tracking import (
    Mirror,
    RunDirectory,
    announce,
    distrust,
    provenance,
    recorded_target,
    run_tags,
    told_parent,
    tracking_uri,
)

if TYPE_CHECKING:
    from ebmcore.runner.experiment import Experiment


def begin_record(
    directory: RunDirectory, experiment: Experiment, train: Train, tracking: Tracking | None
) -> dict[str, Any]:
    """Write config.yaml and run.json, copy local plugin files; return what was recorded."""
    record = dict(experiment.origin.record or described(experiment, train, tracking))
    if experiment.origin.files:
        files = directory.keep_plugin_files(list(experiment.origin.files))
        record["plugins"] = {**record["plugins"], "files": files}
    directory.write_config(record)
    told = told_parent()
    directory.update(
        status="RUNNING",
        name=experiment.name,
        seed=experiment.seed,
        parent=None if told is None else told._asdict(),
        device=str(experiment.device),
        from_config=experiment.origin.record is not None,
        components=list(experiment.origin.components),
        implied_temperature=experiment.sampler
        and getattr(experiment.sampler.kernel, "implied_temperature", None),
        hooks={} if experiment.origin.host is None else listeners(experiment.origin.host),
        started=directory.clock(),
        pid=os.getpid(),
        host=socket.gethostname(),
        **provenance(experiment.origin.host),
    )
    if told is not None:
        announce(directory.path, told)
    return record


def continue_record(directory: RunDirectory, step: int) -> dict[str, Any]:
    """Record that a run goes on, and in which process; return its config."""
    directory.reserve()
    directory.end_events()
    directory.append_event(step, "resumed", pid=os.getpid(), host=socket.gethostname())
    directory.update(
        status="RUNNING", pid=os.getpid(), host=socket.gethostname(), ended=None, error=None,
        seconds=None,
    )  # fmt: skip
    return directory.read_config()


def described(experiment: Experiment, train: Train, tracking: Tracking | None) -> dict[str, Any]:
    """Describe an experiment that was made of objects: for a reader, it can't be run again."""
    return {
        "name": experiment.name,
        "seed": experiment.seed,
        "made_of_objects": {
            "energy": repr(experiment.energy),
            "sampler": repr(experiment.sampler),
            "chains": repr(experiment.chains),
            "loss": [{"name": t.name, "weight": t.weight} for t in experiment.losses],
            "monitors": [m.name for m in experiment.monitors],
        },
        "train": asdict(train),
        "tracking": "off" if tracking is None else asdict(tracking),
    }


def start_mirror(
    directory: RunDirectory,
    experiment: Experiment,
    tracking: Tracking | None,
    params: dict[str, Any],
    *,
    resumes: bool,
    warn: Callable[[str], None],
) -> Mirror | None:
    """Begin to send the run to MLflow, unless tracking is off.

    A run that goes on names its MLflow itself, and anybody may have written that: a place that
    isn't trusted is not spoken to, and `warn` hears of it.
    """
    if tracking is None:
        return None
    if resumes:
        recorded = recorded_target(directory.read())
        given = tracking_uri(tracking)
        there = given if recorded is None else recorded.uri
        is_users = experiment.origin.record is None and there == given  # by the user's own script
        doubt = None if is_users else distrust(there)
        if doubt is not None:
            if recorded is not None:
                directory.update(mlflow=recorded.record("behind"))
            warn(
                f"nothing is sent to MLflow: {doubt}. It can be sent by `ebmcore runs sync --uri`; "
                "MLFLOW_TRACKING_URI trusts a place from the start"
            )
            return None
    tags = run_tags(directory.path, directory.read())
    mirror = Mirror(directory, tracking, experiment.name, params, tags)
    mirror.start()
    return mirror
