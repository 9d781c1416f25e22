"""The record that a run writes before its first step: config, provenance, trackers."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from torch import nn

from ebmcore.data.fingerprint import Fingerprint
from ebmcore.data.load import Data, is_stored
from ebmcore.errors import DataError, EbmError, first_line
from ebmcore.masking import mask_all
from ebmcore.runner.builder import provenance_of
from ebmcore.runner.hooks.calls import listeners
from ebmcore.runner.objects import described
from ebmcore.runner.spec import RunSpec
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.layout import EXAMPLE, HELD_OUT, LARGEST_HELD_OUT, RUN_JSON
from ebmcore.runs.parent_child import parent_from_environment, register_child
from ebmcore.runs.provenance import provenance
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.runs.user_signature import is_signed, sign
from ebmcore.sampling import conditions_of
from ebmcore.trackers.followers import Followers, first_record
from ebmcore.trackers.mlflow.model.needed import MADE
from ebmcore.trackers.tags import tracked_run

_NOT_PARTS = (
    "name", "seed", "device", "dtype", "compile", "threads", "plugins", "train", "tracking", MADE,
)  # fmt: skip
_MODULES_SEAL = "modules_seal"  # in run.json: this user's signature of parts that modules define
_SEAL = "callbacks_seal"  # in run.json: this user's signature of the keys of its callbacks


def begin_record(directory: RunDirectory, spec: RunSpec) -> dict[str, Any]:
    """Write config.yaml and run.json, copy local plugin files; return what was recorded."""
    record, components, host = spec.origin.record, spec.origin.components, spec.origin.host
    if record is None:
        record, nodes, host = described(spec)
        components = [provenance_of(node) for node in nodes]
    record = dict(record)
    if spec.origin.files:
        files = directory.keep_plugin_files(list(spec.origin.files))
        record["plugins"] = {**record["plugins"], "files": files}
    record = dict(mask_all(record))
    modules = record["plugins"].get("modules")
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
        data=_record_data(directory, spec.parts.data, spec.parts.energy),
        components=list(components),
        implied_temperature=spec.parts.sampler
        and getattr(spec.parts.sampler.kernel, "implied_temperature", None),
        hooks={} if spec.origin.host is None else listeners(spec.origin.host),
        started=directory.clock(),
        pid=os.getpid(),
        host=socket.gethostname(),
        **({_SEAL: sign(*_callback_words(record))} if record.get("callbacks") else {}),
        **({_MODULES_SEAL: sign(*_sealed_words(directory.read_config()))} if modules else {}),
        **provenance(host),
    )
    run = tracked_run(directory, facts, config=record)
    directory.update(**facts, **first_record(directory, spec.tracking, run))
    if told is not None:
        register_child(directory.path, told)
    return record


def _record_data(directory: RunDirectory, data: Data, energy: nn.Module) -> dict[str, Any] | None:
    """Write which rows are held out, and a few rows; return the data's fingerprint for run.json."""
    if data.example is not None:
        taken = conditions_of(energy)
        with_y = taken is not None and "y" in taken.required
        with suppress(DataError):  # a type of numbers that only a dataset of its own has
            directory.write(EXAMPLE, data.example.packed(with_y=with_y))
    fingerprint = data.fingerprint
    if fingerprint is None:
        return None
    if fingerprint.held_out.any():
        directory.write(HELD_OUT, fingerprint.bits())
    return fingerprint.written()


def recorded_data(files: SafeFiles, facts: Mapping[str, Any]) -> Fingerprint | None:
    """Return what a run recorded of its data; None when it is of a time that recorded nothing.

    Raises EbmError when it isn't as it was written.
    """
    written = facts.get("data")
    if written is None:
        return None
    try:
        bits = files.read(HELD_OUT, LARGEST_HELD_OUT) if written["held_out"] else b""
        return Fingerprint.read(written, bits)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise EbmError(
            f"{files.path}: what it recorded of its data can't be read ({RUN_JSON}, {HELD_OUT}): "
            f"{first_line(error)}"
        ) from error


def changed_data(directory: RunDirectory, data: Data) -> list[str]:
    """Return a warning when a run that is to go on was begun with rows of other digits.

    Raises EbmError when they are others altogether: those that a dataset computes may differ in
    their last digits from machine to machine, stored ones may not.
    """
    then, now = recorded_data(directory.files, directory.read()), data.fingerprint
    if then is None or now is None or not (found := now.changes(then)):
        return []
    said = f"the data changed since the run began: there are now {'; '.join(found)}"
    alike = (now.rows, now.event_shape) == (then.rows, then.event_shape)
    if alike and not is_stored(getattr(data.source, "original", data.source)):
        return [f"{said}. A dataset computes them, perhaps with other last digits on this machine"]
    raise EbmError(
        f"{directory.path}: {said}. To go on would mix both. Put them back as they were, or begin "
        f"another run on them: ebmcore run {directory.config_file}"
    )


def is_own(directory: RunDirectory, spec: RunSpec, *, resumes: bool) -> bool:
    """Tell whether the user named the run's callbacks now, or recorded them before."""
    if not resumes or spec.origin.record is None:
        return True
    return is_signed(directory.read().get(_SEAL), *_callback_words(spec.origin.record))


def _callback_words(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a seal of the callbacks covers: all values of their keys."""
    values = mask_all({"callbacks": record.get("callbacks")})
    return "callbacks", json.dumps(values, sort_keys=True, default=str)


def _sealed_words(tree: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the seal covers: all parts in a recorded config, and their modules."""
    parts = {key: value for key, value in tree.items() if key not in _NOT_PARTS}
    plugins = tree.get("plugins")
    modules = plugins.get("modules") if isinstance(plugins, dict) else None
    return "objects", json.dumps([parts, modules], sort_keys=True, default=str)


def without_modules(tree: dict[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Take the modules out of a recorded config that lacks this user's seal; return them.

    They are code, and a directory of somebody else's may name any.
    """
    section = tree.get("plugins")
    if not isinstance(section, dict) or not isinstance(named := section.get("modules"), list):
        return []  # what else stands there is refused when the section is read
    if not named or is_signed(facts.get(_MODULES_SEAL), *_sealed_words(tree)):
        return []
    tree["plugins"] = {**section, "modules": []}
    return list(map(str, named))


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


def start_trackers(
    directory: RunDirectory,
    spec: RunSpec,
    config: dict[str, Any],
    *,
    resumes: bool,
    warn: Callable[[str], None],
) -> Followers:
    """Begin to send the run to its trackers.

    A resumed run names its trackers in its own directory, which somebody else may have written: a
    place that the user neither names nor recorded gets no connection, and `warn` is called.
    """
    facts = directory.read()
    named = not resumes or spec.origin.record is None
    run = tracked_run(directory, facts, config=config, named=named)
    return Followers(directory, spec.tracking, run, warn)
