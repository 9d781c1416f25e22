"""The study of a sweep: its record of the sweep, and which of it this user recorded.

Somebody else may have made the database, or may write to it. So a worker takes from it what to try
and what came of it, and checks that. Where runs go and are sent is taken from it only under the
signature of this user's installation, or as the coordinator that started the worker vouches for.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ebmcore import ConfigError, EbmError
from ebmcore.config import apply_overrides
from ebmcore.masking import mask, mask_all, masked_places
from ebmcore.runs import is_signed, sign
from ebmcore.trackers import (
    DestinationError,
    distrust,
    mlflow_keys,
    other_trackers,
    typed,
    with_mlflow_keys,
    with_password,
)
from ebmcore_sweep.search.definition import Sweep, read_sweep
from ebmcore_sweep.search.samplers import make_pruner, make_sampler
from ebmcore_sweep.search.verify import optuna_faults
from ebmcore_sweep.storage.guarded import StorageError, trial_check
from ebmcore_sweep.storage.sampler_state import refuse_foreign, refuse_foreign_state
from ebmcore_sweep.storage.store import file_of, open_storage, watch

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

ATTRIBUTE = "ebmcore"  # of a study: the definition, and where its runs are
VOUCHED_VARIABLE = "EBMCORE_SWEEP_VOUCHED"  # the hash of what a coordinator wrote there
SECRETS_VARIABLE = "EBMCORE_SWEEP_SECRETS"  # passwords of the base, which are masked there
_PURPOSE = "sweep"
_SHOWN = 20  # names of sweeps in a message


class Facts(NamedTuple):
    """A study's record of its sweep, each field of the right type."""

    definition: dict[str, Any]
    files: tuple[str, ...]  # local plugin files of the base
    runs_dir: str
    run_dir: str  # of the parent
    token: str | None  # of the parent's MLflow run
    own: bool  # whether this user's installation recorded it


def begin_study(sweep: Sweep, storage: BaseStorage) -> Study:
    """Make a sweep's study, or return the one that was begun.

    Raises EbmError when it was begun with another base, space or objective.
    """
    import optuna

    study = optuna.create_study(
        study_name=sweep.name,
        storage=storage,
        direction=sweep.objective.direction,
        load_if_exists=True,
    )
    if ATTRIBUTE not in study.user_attrs:
        if study.get_trials(deepcopy=False):
            raise EbmError(
                f"the study {sweep.name!r} is no sweep of ebmcore's; choose another name"
            )
        return study
    before, now = known_sweep(study)[0].question(), sweep.question()
    if changed := [key for key in now if before.get(key) != now[key]]:
        raise EbmError(
            f"the sweep {sweep.name!r} was begun with another {' and '.join(changed)}, and its "
            "trials can't be compared with new ones; give this sweep a `name` of its own"
        )
    _check_direction(study, sweep)
    return study


def remember(study: Study, sweep: Sweep, **facts: Any) -> dict[str, str]:
    """Write the record for workers into the study, in place of the old one.

    Args:
        study: The sweep's.
        sweep: The sweep.
        facts: `files`, `runs_dir`, and `parent` with its `run_dir` and `token`.

    Returns the variables by which workers that are started now know it again.
    """
    written = {"definition": sweep.definition(), **facts}
    text = _text(written)
    study.set_user_attr(ATTRIBUTE, {**written, "seal": sign(_PURPOSE, text)})
    return {VOUCHED_VARIABLE: _hash(text)}


def known_sweep(study: Study) -> tuple[Sweep, Facts]:
    """Return the record of a study. Raises EbmError when it isn't a sweep's."""
    return _read(study.study_name, study.user_attrs.get(ATTRIBUTE))


def open_study(sweep: Sweep, url: str) -> Study:
    """Begin the study of a sweep, or open it, and look at all that it holds.

    Raises EbmError when it was begun with another question, or holds what no sweep puts there.
    """
    storage = open_storage(url)
    watch(storage, sweep, trial_check(sweep, url))
    study = begin_study(sweep, storage)
    refuse_foreign_state(sweep, study.get_trials(deepcopy=False))
    return study


def join_study(url: str, name: str | None, worker: str) -> tuple[Study, Sweep, Facts]:
    """Open a sweep that somebody has begun: its study, its definition, where its runs are.

    Nothing is written, and nothing is started. Raises EbmError when there is none, there are
    several and none is named, or it is not as a sweep leaves it.
    """
    import optuna

    file = file_of(url)
    if file is not None and not file.is_file():
        raise EbmError(f"storage {mask(url)}: there is no such file, so there is no sweep to join")
    storage = open_storage(url)
    sweep, facts = _find(storage, url, name)
    if problems := optuna_faults(sweep):
        text = "; ".join(map(str, problems))[:500]
        raise StorageError(f"storage {mask(url)}: the sweep {sweep.name!r:.80}: {text}")
    if not facts.own:
        refuse_foreign(sweep)
    watch(storage, sweep, trial_check(sweep, url))
    study = optuna.load_study(
        study_name=sweep.name,
        storage=storage,
        sampler=make_sampler(sweep.sampler, worker),
        pruner=make_pruner(sweep.pruner),
    )
    _check_direction(study, sweep)
    refuse_foreign_state(sweep, study.get_trials(deepcopy=False))
    return study, sweep, facts


def _find(storage: BaseStorage, url: str, name: str | None) -> tuple[Sweep, Facts]:
    found = {
        study.study_name: study.user_attrs[ATTRIBUTE]
        for study in storage.get_all_studies()
        if isinstance(study.study_name, str)
        and isinstance(study.user_attrs, Mapping)
        and ATTRIBUTE in study.user_attrs
    }
    if name is None and len(found) == 1:
        (name,) = found
    if name is None or name not in found:
        names = [str(other)[:80] for other in sorted(found, key=str)]
        there = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        wanted = "say which by --study" if name is None and found else f"there is no {name!r}"
        wanted = "there is no sweep" if not found else wanted
        raise EbmError(f"storage {mask(url)}: {wanted}; sweeps there: {there or 'none'}")
    return _read(name, found[name])


def _check_direction(study: Study, sweep: Sweep) -> None:
    found = [direction.name.lower() for direction in study.directions]
    if found != [sweep.objective.direction]:
        raise StorageError(
            f"the study {sweep.name!r:.80} should {sweep.objective.direction}; it is to "
            f"{' and '.join(found)}"
        )


def _read(name: str, found: Any) -> tuple[Sweep, Facts]:
    """Read a study's attribute, which anybody may have written."""
    try:
        facts = _facts(found)
        sweep = read_sweep({**facts.definition, "name": name})
    except (ConfigError, ValueError, RecursionError) as error:
        text = " ".join(str(error).split())[:500]
        raise StorageError(
            f"the study {name!r:.80} is not as ebmcore leaves a sweep: {text}"
        ) from error
    return sweep, facts


def _facts(found: Any) -> Facts:
    """Check a record against the form that `remember` writes. Raises ValueError."""
    if not isinstance(found, Mapping):
        raise ValueError(f"it says {found!r:.80} of itself")
    definition, files, parent = found.get("definition"), found.get("files"), found.get("parent")
    if not isinstance(definition, dict) or not isinstance(definition.get("base"), dict):
        raise ValueError("it holds no definition with its base")
    if not isinstance(files, Sequence) or isinstance(files, str) or not all(map(_is_path, files)):
        raise ValueError(f"its plugin files are {files!r:.80}")
    if not isinstance(parent, Mapping) or not _is_path(parent.get("run_dir")):
        raise ValueError(f"its parent run is {parent!r:.80}")
    if not _is_path(found.get("runs_dir")):
        raise ValueError(f"its folder of runs is {found.get('runs_dir')!r:.80}")
    token = parent.get("token")
    text = _text({key: value for key, value in found.items() if key != "seal"})
    return Facts(
        definition,
        tuple(files),
        found["runs_dir"],
        parent["run_dir"],
        token if isinstance(token, str) else None,
        is_signed(found.get("seal"), _PURPOSE, text)
        or os.environ.get(VOUCHED_VARIABLE) == _hash(text),
    )


def _is_path(found: Any) -> bool:
    """Whether this may name a file or a folder that has a name."""
    return isinstance(found, str) and found.isprintable() and Path(found).name not in ("", "..")


def _text(written: Mapping[str, Any]) -> str:
    return json.dumps(written, sort_keys=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def secrets_of(sweep: Sweep) -> dict[str, str]:
    """Return the variables with the passwords of a base, which the study does not hold."""
    found = {
        place: value
        for place in masked_places(mask_all(sweep.base.tree))
        if isinstance(value := _at(sweep.base.tree, place), str)
    }
    return {SECRETS_VARIABLE: json.dumps(found)} if found else {}


def with_secrets(sweep: Sweep) -> Sweep:
    """Put the passwords that a coordinator handed over back where the study has them masked."""
    try:
        told = json.loads(os.environ.get(SECRETS_VARIABLE, "{}"))
    except ValueError:
        return sweep
    values = {
        place: told[place]
        for place in masked_places(sweep.base.tree)
        if isinstance(told, dict) and mask(str(told.get(place))) == _at(sweep.base.tree, place)
    }
    return replace(sweep, base=apply_overrides(sweep.base, values)) if values else sweep


def _at(tree: Any, place: str) -> Any:
    """Return the value at a dotted place, None where there is no such place."""
    for key in place.split("."):
        if isinstance(tree, list) and key.isdecimal() and int(key) < len(tree):
            tree = tree[int(key)]
        else:
            tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def own_tracking(sweep: Sweep, facts: Facts) -> tuple[Sweep, str]:
    """Take out of a base the trackers that this user neither recorded nor names now.

    Returns the sweep with the base that trials may be trained with, and what to say.
    """
    tracking = sweep.base.tree.get("tracking")
    keys = mlflow_keys(tracking)
    if not facts.own and other_trackers(tracking):
        alone = "off" if keys is None else keys
        sweep = replace(
            sweep, base=sweep.base._replace(tree={**sweep.base.tree, "tracking": alone})
        )
        sweep, text = own_tracking(sweep, facts)
        return sweep, text or "trials are sent to MLflow at most: the database names other trackers"
    keys = keys or {}
    uri = keys.get("uri")
    if not isinstance(uri, str):
        return sweep, ""
    if distrust(uri) is None:  # then the user's own word for it, which has its password
        others = {key: value for key, value in keys.items() if key != "uri"}
        return _with_tracking(sweep, others), ""
    try:
        if not facts.own:
            raise DestinationError(
                f"the database alone names {typed(uri)}; if you trust it, set "
                f"MLFLOW_TRACKING_URI={typed(uri)}"
            )
        return _with_tracking(sweep, {**keys, "uri": with_password(uri)}), ""
    except DestinationError as error:
        return _with_tracking(sweep, None), f"no trial is sent to MLflow: {error}"


def _with_tracking(sweep: Sweep, keys: dict[str, Any] | None) -> Sweep:
    tracking = with_mlflow_keys(sweep.base.tree.get("tracking"), keys)
    base = sweep.base._replace(tree={**sweep.base.tree, "tracking": tracking})
    return replace(sweep, base=base)
