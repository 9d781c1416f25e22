"""Turn the words that a user types for a run into its directory."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from ebmcore.errors import DirectoryError, EbmError
from ebmcore.runs.directory import runs_folder
from ebmcore.runs.jsonl import as_number
from ebmcore.runs.layout import RUN_JSON
from ebmcore.runs.parent_child import recorded_parent
from ebmcore.runs.run_json import read_run_json
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.trackers.mlflow.model.names import BEST, MODEL, RUN, is_mlflow_uri

LAST = "last"


def run_directory(text: str | Path, *, best: bool = False, to_resume: bool = False) -> Path:
    """Return the run directory that a user means.

    A path means itself; of a folder of artifacts that came from MLflow, the run in its model. A URI
    of MLflow, such as runs:/ID or models:/NAME/3, means the run that is there, downloaded to the
    user's cache; with `best` its best weights; `to_resume` it goes to the folder of runs, if MLflow
    has what that takes. `last` means the newest run that the user started, in the folder that
    `ebmcore runs list` lists: of a group of seeds or of a sweep it is the parent, never one of its
    children. A run directory in the working directory whose name is `last` comes first, as it did
    before the word meant anything else; `./last` is always a path.

    Raises EbmError when there is no such run.
    """
    path = Path(text)
    if text == LAST and not (path / RUN_JSON).exists():
        return _newest()
    if _exists(path):
        return next((inner for inner in _inside(path) if _exists(inner / RUN_JSON)), path)
    if is_mlflow_uri(uri := path.as_posix()):
        from ebmcore.trackers.mlflow.model.download import downloaded, downloaded_to_resume

        if to_resume:
            return downloaded_to_resume(uri, runs_folder())
        is_run = uri.startswith("runs:/") and uri.count("/") == 1
        return downloaded(f"{uri}/{BEST}" if best and is_run else uri)
    beside = runs_folder() / path
    hint = f"; did you mean {beside}?" if _exists(beside) else ""
    raise EbmError(f"{text}: no run directory (there is no such folder){hint}")


def _inside(path: Path) -> tuple[Path, ...]:
    """Return where a folder of artifacts may have a run: itself, as a model, with a model in it."""
    return path, path / RUN, path / MODEL / RUN


def _newest() -> Path:
    folder = runs_folder()
    try:
        found = [(started, p.name, p) for p in folder.iterdir() if (started := _started(p)) > 0]
    except OSError as error:
        raise EbmError(f"last: the folder {folder} can't be read: {error.strerror}") from error
    if not found:
        raise EbmError(f"last: there is no run in {folder}; EBMCORE_RUNS_DIR names another folder")
    return max(found)[2]


def _started(path: Path) -> float:
    """Return when a run was started, 0 for what is no run or is the child of another."""
    with suppress(OSError, ValueError, DirectoryError):
        facts = read_run_json(SafeFiles(path))
        started = as_number(facts.get("started"))
        if recorded_parent(facts) is None and started is not None and math.isfinite(started):
            return started
    return 0.0


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be read
        return False
