"""The record that a run writes before its first step: config, provenance, MLflow run."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ebmcore.masking import mask_all
from ebmcore.runner.hook_calls import listeners
from ebmcore.runner.spec import RunSpec
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.parent_child import parent_from_environment, register_child
from ebmcore.runs.provenance import provenance
from ebmcore.trackers.mlflow.mirror import Mirror, first_record
from ebmcore.trackers.mlflow.tags import run_tags
from ebmcore.trackers.mlflow.target import recorded_target
from ebmcore.trackers.mlflow.uris import DestinationError


def begin_record(directory: RunDirectory, spec: RunSpec) -> dict[str, Any]:
    """Write config.yaml and run.json, copy local plugin files; return what was recorded."""
    record = dict(spec.origin.record or described(spec))
    if spec.origin.files:
        files = directory.keep_plugin_files(list(spec.origin.files))
        record["plugins"] = {**record["plugins"], "files": files}
    record = dict(mask_all(record))
    directory.write_config(record)
    told = parent_from_environment()
    facts = dict(
        status="RUNNING",
        name=spec.name,
        seed=spec.seed,
        parent=None if told is None else told._asdict(),
        device=str(spec.device),
        from_config=spec.origin.record is not None,
        space=spec.parts.data.space.written(),
        components=list(spec.origin.components),
        implied_temperature=spec.parts.sampler
        and getattr(spec.parts.sampler.kernel, "implied_temperature", None),
        hooks={} if spec.origin.host is None else listeners(spec.origin.host),
        started=directory.clock(),
        pid=os.getpid(),
        host=socket.gethostname(),
        **provenance(spec.origin.host),
    )
    tags = run_tags(directory.path, facts)
    directory.update(**facts, **first_record(directory, spec.tracking, spec.name, tags))
    if told is not None:
        register_child(directory.path, told)
    return record


def continue_record(directory: RunDirectory, step: int) -> dict[str, Any]:
    """Record that a run was resumed, and in which process; return its config."""
    directory.reserve()
    directory.end_events()
    directory.append_event(step, "resumed", pid=os.getpid(), host=socket.gethostname())
    directory.update(
        status="RUNNING", pid=os.getpid(), host=socket.gethostname(), ended=None, error=None,
        seconds=None,
    )  # fmt: skip
    return directory.read_config()


def described(spec: RunSpec) -> dict[str, Any]:
    """Describe an experiment that was made of objects: for a reader, it can't be run again."""
    return {
        "name": spec.name,
        "seed": spec.seed,
        "made_of_objects": {
            "energy": repr(spec.parts.energy),
            "sampler": repr(spec.parts.sampler),
            "chains": repr(spec.parts.chains),
            "loss": [{"name": t.name, "weight": t.weight} for t in spec.parts.losses],
            "monitors": [m.name for m in spec.parts.monitors],
        },
        "train": asdict(spec.train),
        "tracking": "off" if spec.tracking is None else asdict(spec.tracking),
    }


def start_mirror(
    directory: RunDirectory,
    spec: RunSpec,
    params: dict[str, Any],
    *,
    resumes: bool,
    warn: Callable[[str], None],
) -> Mirror | None:
    """Begin to send the run to MLflow, unless tracking is off.

    A resumed run names its MLflow server in its own directory, which somebody else may have
    written: a server that the user didn't name gets no connection, and `warn` is called.
    """
    if spec.tracking is None:
        return None
    facts = directory.read()
    named = not resumes or spec.origin.record is None
    tags = run_tags(directory.path, facts)
    try:
        mirror = Mirror(directory, spec.tracking, spec.name, params, tags, named=named)
    except DestinationError as error:
        if (recorded := recorded_target(facts)) is not None:
            directory.update(mlflow=recorded.record("behind"))
        sends = f"`ebmcore runs sync {directory.path} --uri` sends it later"
        warn(f"nothing is sent to MLflow: {error}. {sends}")
        return None
    mirror.start()
    return mirror
