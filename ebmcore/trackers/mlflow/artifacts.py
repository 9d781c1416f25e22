"""The places where MLflow may keep a run's files: none that a server or a database row made up.

MLflow's client writes to any place that a server or a row of a database names. ebmcore uses a place
if one of these holds; otherwise the run's files stay in the run directory:

    a server    mlflow-artifacts: or http(s): of the server itself; a bucket of a cloud whose hosts
                are the cloud's own: s3, gs, wasbs, abfss, r2, b2
    databricks  dbfs: and those buckets
    sqlite      below mlruns beside the database or in the current folder, or below the artifact
                place of an experiment that this user's installation made (its seal is a tag)
    any         below MLFLOW_DEFAULT_ARTIFACT_ROOT, which the user sets

No link is followed on the way from such a folder to the file, and no `..`.
"""

from __future__ import annotations

import inspect
import os
import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ebmcore.errors import RefusedError
from ebmcore.trackers.mlflow.trusted_destinations import typed
from ebmcore.trackers.mlflow.uris import is_sqlite, is_web, origin, sqlite_file

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

ROOT_VARIABLE = "MLFLOW_DEFAULT_ARTIFACT_ROOT"
_SETTINGS = (
    ROOT_VARIABLE,
    "_MLFLOW_SERVER_ARTIFACT_ROOT",
)  # the second inside MLflow's server
_CLOUDS = {  # schemes, and the ends of the hosts that a URI may name
    "s3": None,
    "gs": None,
    "wasbs": ("blob.core.windows.net", "blob.core.chinacloudapi.cn", "blob.core.usgovcloudapi.net"),
    "abfss": (
        "dfs.core.windows.net",
        "dfs.core.chinacloudapi.cn",
        "dfs.core.usgovcloudapi.net",
        "dfs.fabric.microsoft.com",
    ),
    "r2": ("r2.cloudflarestorage.com",),
    "b2": ("backblazeb2.com",),
}
_LOCAL = ("", "file")


class MisplacedError(RefusedError):
    """MLflow keeps a run's files at a foreign place; the message names the setting to change."""


class Artifacts:
    """The files of one run in MLflow, at a checked place; takes the arguments of `check`."""

    def __init__(self, place: str, uri: str, run_id: str, known: Iterable[str] = ()) -> None:
        self.local = check(place, uri, run_id, known)
        self.repository = _repository(place, uri)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the files in a folder of the run, and their sizes in bytes."""
        self._look(folder)
        found = self.repository.list_artifacts(folder or None)
        return {posixpath.basename(f.path): f.file_size or 0 for f in found if not f.is_dir}

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """Return the names in a folder, each with whether it is a folder itself."""
        self._look(folder)
        inside = "" if folder == "." else folder
        found = self.repository.list_artifacts(inside or None)
        return [(posixpath.basename(f.path), bool(f.is_dir)) for f in found]

    def download(self, name: str, file: Path) -> None:
        """Write a file of the run to a place on this machine, in this thread."""
        self._look(name)
        fetch: Any = self.repository._download_file  # the public one uses threads of its own
        fetch(name, str(file))

    def upload(self, file: Path, folder: str) -> None:
        """Send a file into a folder of the run."""
        self._look(posixpath.join(folder, file.name))
        send: Any = self.repository.log_artifact
        send(str(file), folder or None)

    def _look(self, inner: str) -> None:
        if self.local is not None:
            _refuse_links(self.local.start, self.local.folder / inner)


class Local(NamedTuple):
    """A place on this machine."""

    folder: Path
    start: Path  # no link below this folder is followed


def check(place: str, uri: str, run_id: str, known: Iterable[str] = ()) -> Local | None:
    """Check the place that MLflow names for a run's files; return it when it is on this machine.

    Args:
        place: MLflow's artifact URI, such as `mlflow-artifacts:/3/…` or a path.
        uri: The tracking URI.
        run_id: Of the run.
        known: Places of experiments' files that this user's installation made there.

    Raises MisplacedError when the files must not go there.
    """
    if _is_local(place):
        folder = _path(place)
        start = _start(folder, place, uri, run_id, known)
        _refuse_links(start, folder)
        return Local(folder, start)
    if not (_is_servers(place, uri) or any(_is_below(place, root) for root in _set())):
        raise _misplaced(place)
    return None


def is_default(place: str, uri: str) -> bool:
    """Tell whether a local place is in MLflow's default folder."""
    try:
        return _is_local(place) and _above(_path(place), _roots(uri)) is not None
    except MisplacedError:
        return False


def _repository(place: str, uri: str) -> ArtifactRepository:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
    from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

    with_profile: Any = add_databricks_profile_info_to_artifact_uri
    there, make = with_profile(place, uri), get_artifact_repository
    if "tracking_uri" in inspect.signature(make).parameters:
        return make(there, tracking_uri=uri)
    if urlsplit(there).scheme == "mlflow-artifacts":  # MLflow 3.1 asks the environment for its host
        resolve: Any = MlflowArtifactsRepository.resolve_uri
        there = resolve(there, uri)
    return make(there)


def _is_local(place: str) -> bool:
    return urlsplit(place).scheme in _LOCAL


def _path(place: str) -> Path:
    """Return the path that MLflow derives from a local place."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    reads: Any = local_file_uri_to_path
    path = Path(reads(place))
    if urlsplit(place).netloc not in ("", "localhost") or not path.is_absolute():
        raise _misplaced(place)
    if ".." in path.parts:
        raise _misplaced(place)
    return path


def _start(path: Path, place: str, uri: str, run_id: str, known: Iterable[str]) -> Path:
    """Return the user's folder that contains a path. Raises MisplacedError if there is none."""
    made = [] if is_web(uri) else [(_path(root), _path(root)) for root in known]
    start = _above(path, [*_roots(uri), *made])
    if start is None or path.parts[-2:] != (run_id, "artifacts"):
        raise _misplaced(place)
    return start


def _above(path: Path, roots: Iterable[tuple[Path, Path]]) -> Path | None:
    """Return the folder below which to refuse links, for the first of these roots above a path."""
    return next((start for root, start in roots if path.is_relative_to(root)), None)


def _roots(uri: str) -> Iterator[tuple[Path, Path]]:
    """Yield the folders that may hold files, each with the folder below which links are refused.

    A folder that the user sets may be a link. MLflow's own `mlruns` may not, since somebody else
    may have made the folder around it.
    """
    for root in filter(_is_local, _set()):
        named = unquote(urlsplit(root).path) if root.startswith("file:") else root
        yield from ((seen, seen) for seen in _both(Path(named)))
    if uri.startswith("file:"):
        yield from ((seen, seen) for seen in _both(_path(uri)))
    elif not is_web(uri):
        beside = [sqlite_file(uri).parent] if is_sqlite(uri) else []
        for folder in (Path.cwd(), *beside):
            yield from ((seen / "mlruns", seen) for seen in _both(folder))


def _both(folder: Path) -> Iterator[Path]:
    """Yield a folder under its name, and under its real path if the name is a link."""
    yield from (Path(os.path.abspath(folder)), Path(os.path.realpath(folder)))


def _set() -> Iterator[str]:
    """Yield the artifact roots in the user's settings."""
    return (os.environ[name] for name in _SETTINGS if os.environ.get(name))


def _refuse_links(start: Path, path: Path) -> None:
    """Raise MisplacedError when there is a link between a folder and a path below it."""
    here = start
    for part in path.relative_to(start).parts:
        here /= part
        if here.is_symlink():
            raise MisplacedError(
                f"no file is sent: {typed(str(here))} is a link; if its place is yours, set "
                f"{ROOT_VARIABLE} to the folder that holds all experiments' files"
            )


def _is_servers(place: str, uri: str) -> bool:
    """Tell whether a place is the tracking server's own, or a bucket in a cloud."""
    scheme = urlsplit(place).scheme.lower()
    mine = urlsplit(uri).scheme.lower() or uri
    if is_sqlite(uri) or mine == "file" or ".." in _segments(place):
        return False
    try:
        _, host, _ = origin(place)
        if scheme == "mlflow-artifacts" and mine in ("http", "https"):
            return not host or origin(f"{mine}://{urlsplit(place).netloc}") == origin(uri)
        if scheme in ("http", "https"):
            return origin(place) == origin(uri)
    except ValueError:
        return False
    if scheme in _CLOUDS:
        ends = _CLOUDS[scheme]
        return ends is None or host.endswith(tuple(f".{end}" for end in ends))
    return scheme == "dbfs" and mine == "databricks"


def _is_below(place: str, root: str) -> bool:
    """Tell whether a place given by a URI is below a root that the user sets."""
    one, two = urlsplit(place), urlsplit(root)
    if not two.scheme or (one.scheme, one.netloc) != (two.scheme, two.netloc):
        return False
    whole, start = _segments(place), _segments(root)
    return ".." not in whole and whole[: len(start)] == start


def _segments(place: str) -> list[str]:
    return [part for part in unquote(urlsplit(place).path).split("/") if part]


def _misplaced(place: str) -> MisplacedError:
    experiment = place.rpartition("/artifacts")[0].rpartition("/")[0].removesuffix("/models")
    top = experiment.rpartition("/")[0] or place
    return MisplacedError(
        f"no file is sent: MLflow keeps them in {typed(place)}, which none of your settings names; "
        f"if that is yours, set {ROOT_VARIABLE}={typed(top)}"
    )
