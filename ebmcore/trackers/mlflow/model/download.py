"""Runs that only MLflow has: `runs:/ID`, `models:/NAME/3`, as a run directory on this machine.

The tracking server is the user's own (MLFLOW_TRACKING_URI, sqlite:///mlflow.db here if nothing is
set), files come from places that could get files, too (see `artifacts`), and no redirect leads to
another host. They go to the user's cache, below the server and the model's id, once each: a model
doesn't change. They are data from elsewhere, as any run directory is: opening one runs no code.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any, NamedTuple

from ebmcore.config.sections import Tracking
from ebmcore.errors import EbmError, first_line
from ebmcore.masking import mask, without_password
from ebmcore.runs.layout import RUN_JSON
from ebmcore.runs.run_json import read_run_json
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.trackers.mlflow.artifacts import Artifacts, MisplacedError
from ebmcore.trackers.mlflow.client import Remote
from ebmcore.trackers.mlflow.model.names import MODEL, RUN, quoted
from ebmcore.trackers.mlflow.target import Target, tracking_uri
from ebmcore.trackers.mlflow.uris import is_sqlite, sqlite_file

_ID = re.compile(r"[A-Za-z0-9][\w-]{0,255}", re.ASCII)
_RUN_FOLDERS = ("checkpoints", "plugins", "figures", "artifacts")
_FILES, _DEPTH = 100_000, 6  # at most, of one run


class _Place(NamedTuple):
    """Where MLflow has a run directory."""

    files: Artifacts
    folder: str  # in the files
    key: str  # under which the cache keeps it; another content has another one


def downloaded(uri: str) -> Path:
    """Return the directory of a run that MLflow has, downloading it if it isn't here yet.

    Args:
        uri: runs:/ID, the last weights; runs:/ID/best, those of train.keep_best; models:/m-ID, or
            models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest in the registry.

    Raises EbmError when MLflow doesn't answer, has no such run or model, or keeps the files at a
    place that isn't the user's.
    """
    return _reading(uri, lambda remote: _cached(remote, _place(remote, uri)))


def downloaded_to_resume(uri: str, into: Path) -> Path:
    """Return the directory of a run to resume, below `into`, as it was when it was stopped.

    An earlier download is used as it is. Without a whole checkpoint in
    MLflow (tracking.checkpoints: last) it is what `downloaded` returns. Raises EbmError.
    """

    def read(remote: Remote) -> Path:
        run = _run(remote, uri)
        files = remote.files_at(run.info.artifact_uri, run.info.run_id, run.info.experiment_id)
        named = re.sub(r"[^\w.-]", "-", str(run.info.run_name)).strip("-.") or run.info.run_id
        if not {RUN_JSON, "metrics.jsonl"} <= remote.sizes(files, "").keys():
            return _cached(remote, _place(remote, uri))
        path = into / named
        if path.exists():
            held = read_run_json(SafeFiles(path)).get("mlflow") or {}
            if held.get("run_id") != run.info.run_id:
                raise EbmError(f"{uri}: {path} is another run; move it to another folder")
            return path
        return _fetch(remote, files, "", path)

    return _reading(uri, read) if uri.startswith("runs:/") else downloaded(uri)


def _reading(uri: str, read: Any) -> Path:
    """Call MLflow; all that it raises becomes an EbmError that names the URI and the server."""
    server = tracking_uri(Tracking())
    if is_sqlite(server) and not sqlite_file(server).exists():
        raise EbmError(
            f"{uri}: there is no {sqlite_file(server)}; MLFLOW_TRACKING_URI names the MLflow that "
            "has it"
        )
    remote = Remote(Target(server, "Default", "", {}), "", 0.0)
    try:
        found: Path = read(remote)
    except MisplacedError as error:
        why = str(error).removeprefix("no file is sent: ")
        raise EbmError(f"{uri}: can't be read: {why}") from error
    except EbmError:
        raise
    except Exception as error:  # of MLflow, its store or the network
        raise EbmError(f"{uri}: {mask(server)}: {mask(first_line(error))}") from error
    return found


def _place(remote: Remote, uri: str) -> _Place:
    if uri.startswith("models:/"):
        return _of_model(remote, _model(remote, uri))
    run, (_, name) = _run(remote, uri), _parts(uri)
    found = remote.ask(
        "search_logged_models",
        [run.info.experiment_id],
        filter_string=f"source_run_id = '{run.info.run_id}'",
    )
    models = [m for m in found if m.name == (name or MODEL) and str(m.status) == "READY"]
    if models:
        return _of_model(remote, models[0])
    files = remote.files_at(run.info.artifact_uri, run.info.run_id, run.info.experiment_id)
    if name or RUN_JSON not in remote.sizes(files, ""):
        why = run.data.tags.get("ebmcore.model") or f"it has no model {name or MODEL!r}"
        raise EbmError(f"{uri}: can't be opened: {why}")
    return _Place(files, "", f"{run.info.run_id}-{run.info.end_time}")


def _parts(uri: str) -> tuple[str, str]:
    """Return the id and the model's name in runs:/ID/NAME."""
    number, _, name = uri.removeprefix("runs:/").strip("/").partition("/")
    if not _ID.fullmatch(number):
        raise EbmError(f"{uri}: should be runs:/ID, with the id of a run in MLflow")
    return number, name


def _run(remote: Remote, uri: str) -> Any:
    return remote.ask("get_run", _parts(uri)[0])


def _model(remote: Remote, uri: str) -> Any:
    name, _, version = uri.removeprefix("models:/").partition("/")
    if not version and "@" not in name:
        return remote.ask("get_logged_model", name)
    if version == "latest":
        found = remote.ask("search_model_versions", f"name = '{quoted(name)}'")
        if not found:
            raise EbmError(f"{uri}: the registry has no version of {name}")
        one = max(found, key=lambda of: int(of.version))
    elif version:
        one = remote.ask("get_model_version", name, version)
    else:
        one = remote.ask("get_model_version_by_alias", *name.rsplit("@", 1))
    in_source = re.search(r"/models/(m-[\w-]+)/artifacts", str(one.source))
    number = one.model_id or (in_source and in_source[1])
    if not number:
        raise EbmError(f"{uri}: is no model that ebmcore made; it comes from {mask(one.source)}")
    return remote.ask("get_logged_model", number)


def _of_model(remote: Remote, model: Any) -> _Place:
    if not _ID.fullmatch(model.model_id):
        raise EbmError(f"{model.model_id!r:.80}: is no id of a model")
    files = remote.files_at(model.artifact_location, model.model_id, model.experiment_id)
    return _Place(files, RUN, model.model_id)


def _cached(remote: Remote, place: _Place) -> Path:
    """Return the run in the user's cache, which gets it now if need be."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    server = hashlib.sha256(without_password(remote.target.uri).encode()).hexdigest()[:16]
    path = home / "ebmcore" / "mlflow" / server / place.key
    return path if path.exists() else _fetch(remote, place.files, place.folder, path)


def _fetch(remote: Remote, files: Artifacts, folder: str, path: Path) -> Path:
    """Download a run beside its place, and rename it when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        names = [*_names(remote, files, folder)]
        if RUN_JSON not in names:
            raise EbmError(f"{path.name}: isn't a model of ebmcore, which has {RUN}/{RUN_JSON}")
        for name in names:
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            remote.fetch(files, f"{folder}/{name}".lstrip("/"), part / name)
        try:
            part.rename(path)
        except OSError:
            if not path.exists():  # another process was quicker
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def _names(remote: Remote, files: Artifacts, folder: str) -> Iterator[str]:
    """Yield the files of a run below a folder, relative to it; the server's names aren't trusted.

    Of a run's other folders, such as its models, none is read.
    """
    count, waiting = 0, [PurePosixPath()]
    while waiting:
        inner = waiting.pop()
        for name, is_folder in remote.names(files, (PurePosixPath(folder) / inner).as_posix()):
            count += 1
            path = inner / name
            if count > _FILES or len(path.parts) > _DEPTH or not _is_plain(name):
                raise EbmError(f"{name!r:.80}: MLflow lists what is no file of a run")
            if not is_folder:
                yield path.as_posix()
            elif path.parts[0] in _RUN_FOLDERS:
                waiting.append(path)


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and name.isprintable() and not set(name) & set("/\\:\0")
