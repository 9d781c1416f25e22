"""The data of a run as inputs of its MLflow run: the rows it trained on, and those it held out.

    name      the file's name, or the dataset's type
    digest    the first characters of the hash in run.json, and after a dash of that of the labels
    source    the file's path, or the dataset's node in the config
    schema    the columns and their types, or the shape and the type of an event
    profile   how many rows, and the whole hashes

MLflow keeps one data set of a name and a digest in an experiment. So the profile of the data counts
all rows, and the digest of those held out depends on which they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ebmcore.errors import EbmError
from ebmcore.masking import mask_all
from ebmcore.runs.layout import HELD_OUT, LARGEST_HELD_OUT
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.runs.status import read_account

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_HASH, _LABELS = 12, 8  # characters of the hashes in a digest, of which MLflow takes 36
_NAME = 200  # characters of a name
_SCHEMA = 1_000_000  # characters of a schema, a little below MLflow's limit
_SOURCE = 60_000  # characters of a source, likewise
_TYPES = {  # MLflow's names of columns' types
    "float32": "float",
    "float64": "double",
    "int32": "integer",
    "int64": "long",
    "bool": "boolean",
}
_CONTEXT = "mlflow.data.context"


class Rows(NamedTuple):
    """Some of a run's rows, as MLflow shows them."""

    name: str
    digest: str
    context: str  # training, or held out
    source_type: str
    source: str
    schema: str
    profile: str

    def written(self) -> DatasetInput:
        """Return it as MLflow takes it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            self.name, self.digest, self.source_type, self.source, self.schema, self.profile
        )
        return DatasetInput(dataset, [InputTag(_CONTEXT, self.context)])


def inputs(run_dir: Path, config: Mapping[str, Any]) -> list[Rows]:
    """Return the rows that a run's run.json records; none if it recorded nothing of its data.

    Raises EbmError when it can't be read.
    """
    facts = read_account(run_dir).facts
    data = facts.get("data")
    if data is None:
        return []
    try:
        bits = SafeFiles(run_dir).read(HELD_OUT, LARGEST_HELD_OUT) if data["held_out"] else b""
        return _inputs(data, bits, mask_all(_node(config)), str(facts.get("space", "")))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EbmError(f"run.json's record of the data can't be read: {error!r:.200}") from error


def _inputs(
    data: Mapping[str, Any], bits: bytes, node: Mapping[str, Any], space: str
) -> list[Rows]:
    rows, held_out = int(data["rows"]), int(data["held_out"])
    whole, labels = str(data["hash"]), str(data["labels"])
    digest = "-".join(filter(None, (whole[:_HASH], labels[:_LABELS])))
    name, source_type, source = _source(node)
    schema = _schema(data)
    facts = {"space": space, "event_shape": list(map(int, data["event_shape"]))}
    facts |= {"dtype": str(data["dtype"]), "hash": whole, "hash_of": str(data["hash_of"])}
    facts |= {"labels": labels} if labels else {}

    def part(digest: str, context: str, count: int) -> Rows:
        profile = json.dumps({"num_rows": count, **facts})
        return Rows(name, digest, context, source_type, source, schema, profile)

    found = [part(digest, "training", rows)]
    if held_out:
        which = hashlib.sha256(whole.encode() + bits).hexdigest()[:_HASH]
        found.append(part(which, "held out", held_out))
    return found


def _node(config: Mapping[str, Any]) -> Mapping[str, Any]:
    node = config.get("data")
    return node if isinstance(node, Mapping) else {}


def _source(node: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the name of a dataset, MLflow's type of its source, and the source."""
    path, kind = node.get("path"), node.get("type")
    if isinstance(path, str) and path:
        return Path(path).name[:_NAME] or "data", "local", json.dumps({"uri": path})[:_SOURCE]
    name = kind.rpartition(":")[2][:_NAME] if isinstance(kind, str) and kind else "data"
    text = json.dumps(node, default=str)
    told = {"ebmcore.data": node if len(text) < _SOURCE else name}
    return name, "code", json.dumps({"tags": told}, default=str)


def _schema(data: Mapping[str, Any]) -> str:
    """Return the columns, or the shape of an event where they have no names."""
    dtype, columns = str(data["dtype"]), data["columns"]
    if columns is not None and dtype in _TYPES:
        named = [{"name": str(c), "type": _TYPES[dtype], "required": True} for c in columns]
        text = json.dumps({"mlflow_colspec": named})
        if len(text) < _SCHEMA:
            return text
    shape = [-1, *map(int, data["event_shape"])]
    features = [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}]
    return json.dumps({"mlflow_tensorspec": {"features": json.dumps(features), "targets": None}})
