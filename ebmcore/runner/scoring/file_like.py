"""Another file, read as a run's own dataset reads its file: for scores and for evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from ebmcore.errors import EbmError, PluginError
from ebmcore.plugins import Host


def file_like(
    source: Any,
    file: str | Path,
    event_shape: tuple[int, ...],
    host: Host | None,
    label: str | int | None = None,
) -> Any:
    """Return a dataset of a file's points, which may read them when it is called.

    Args:
        source: The run's dataset; one that isn't of files has the dataset `file` read it.
        file: The file's path, or the folder's.
        event_shape: The shape of one event of the run's data, before transforms.
        host: The plugins, of which one may offer the dataset `file`.
        label: The column of labels in the file, if it isn't the one that the run's data have.

    Raises EbmError when there is no such file, or the dataset refuses it.
    """
    path = Path(file)
    if not path.exists():
        raise EbmError(f"{path}: no such file")
    like = getattr(source, "like", None)
    named = {} if label is None else {"label": label}
    if named and callable(like) and "label" not in signature(like).parameters:
        raise EbmError(
            f"{path}: dataset {type(source).__name__} takes no name for the labels of another file"
        )
    try:
        return like(path, **named) if callable(like) else _stored(path, event_shape, host, named)
    except (ValueError, OSError) as error:
        raise EbmError(f"{path}: can't be read: {error}") from error


def _stored(
    path: Path, event_shape: tuple[int, ...], host: Host | None, named: Mapping[str, Any]
) -> Any:
    try:
        if host is None:
            raise PluginError("the run was made of objects")
        component = host.find("dataset", "file").load()
    except PluginError as error:
        raise EbmError(
            f"{path}: can't be read, since the run's data are from no file and there's no "
            f"dataset `file` to read it with ({error}); call run.score with a tensor, or name a "
            "dataset that reads it"
        ) from error
    shape = {"shape": list(event_shape)} if len(event_shape) > 1 else {}
    return component(path, **shape, **named)
