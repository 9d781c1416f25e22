"""The files of a run's MLflow model: MLmodel, its environment, an example, and a small run.

    MLmodel  requirements.txt  python_env.yaml  conda.yaml
    input_example.json  serving_input_example.json
    data/run/  run.json  config.yaml  held_out.bits  plugins/  checkpoints/step-N/

`data/run` is a run directory that `ebmcore.load` opens, with the weights alone. Nothing in it is
pickled, and large files go from the run's own directory to the server without a copy.
"""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ebmcore.checkpoint.files import Checkpoint
from ebmcore.checkpoint.weights_only import write_weights_only
from ebmcore.errors import DataError
from ebmcore.runs.example import Example
from ebmcore.runs.layout import CONFIG, EXAMPLE, HELD_OUT, LARGEST_EXAMPLE, RUN_JSON
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.trackers.files import plugin_files
from ebmcore.trackers.mlflow.model.names import RUN
from ebmcore.trackers.mlflow.model.needed import Needed, needed
from ebmcore.trackers.mlflow.model.signature import SERVING, signature, written

LOADER = "ebmcore.runner.mlflow_model"  # MLmodel files name this module: it can't move


class ModelFile(NamedTuple):
    """A file, and the folder of the model or of the run's artifacts that it goes to."""

    path: Path
    folder: str
    in_run: bool  # whether it lies in the run directory, which anybody may have made


def record_files(run_dir: Path) -> Iterator[ModelFile]:
    """Yield the files of a run directory besides its checkpoints, without which none opens."""
    for name in (RUN_JSON, CONFIG, HELD_OUT):
        if (run_dir / name).is_file():
            yield ModelFile(run_dir / name, "", in_run=True)
    for file in plugin_files(run_dir):
        yield ModelFile(file, file.parent.relative_to(run_dir).as_posix(), in_run=True)


def weights_files(checkpoint: Checkpoint, spare: Path) -> Iterator[ModelFile]:
    """Yield the files of a checkpoint with the weights alone; `spare` holds new ones."""
    place = f"checkpoints/{checkpoint.path.name}"
    changed = spare / place
    changed.mkdir(parents=True)
    for name in write_weights_only(checkpoint, changed):
        yield ModelFile(checkpoint.path / name, place, in_run=True)
    for path in sorted(changed.iterdir()):
        yield ModelFile(path, place, in_run=False)


def model_files(
    run_dir: Path,
    facts: Mapping[str, Any],
    config: Mapping[str, Any],
    ids: Mapping[str, str],
    files: list[ModelFile],
    spare: Path,
    *,
    with_example: bool,
) -> Iterator[ModelFile]:
    """Yield the files of a model: those of its run, and MLflow's own, MLmodel as the last.

    MLmodel is written here, since importing `mlflow.models` warns, and takes a while.

    Args:
        run_dir: The run's directory.
        facts: Its run.json.
        config: The run's config.
        ids: model_id, run_id and artifact_path, the model's name.
        files: Those of its run.
        spare: A folder for new files.
        with_example: Whether the first rows of the data come with it.
    """
    for file in files:
        yield file._replace(folder=f"{RUN}/{file.folder}".rstrip("/"))
    need = needed(facts)
    for name, text in _environment(facts, need).items():
        (spare / name).write_text(text)
        yield ModelFile(spare / name, "", in_run=False)
    data = facts.get("data")
    columns = data.get("columns") if isinstance(data, Mapping) else None
    example = _example(run_dir)
    info = None
    if example is not None and with_example:
        info, content, request = written(example, columns)
        for name, value in ((info["artifact_path"], content), (SERVING, request)):
            (spare / name).write_text(json.dumps(value))
            yield ModelFile(spare / name, "", in_run=False)
    size = sum(file.path.stat().st_size for file in files)
    model = {
        **ids,
        **({} if info is None else {"saved_input_example_info": info}),
        "flavors": {"python_function": _flavor(facts)},
        "metadata": {"ebmcore": {"needs": need.distributions, "plugin_files": need.files}},
        "mlflow_version": version("mlflow"),
        "model_size_bytes": size,
        "model_uuid": uuid.uuid4().hex,
        "signature": signature(example, columns, str(config.get("dtype", "float32"))),
        "utc_time_created": str(datetime.now(UTC).replace(tzinfo=None)),
    }
    (spare / "MLmodel").write_text(yaml.safe_dump(model, sort_keys=False))
    yield ModelFile(spare / "MLmodel", "", in_run=False)


def _flavor(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "loader_module": LOADER,
        "data": RUN,
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "config": {"plugins": [], "device": "auto"},  # keys that load_model's model_config may set
        "python_version": _python(facts),
    }


def _python(facts: Mapping[str, Any]) -> str:
    versions = facts.get("versions")
    had = versions.get("python") if isinstance(versions, Mapping) else None
    return str(had or platform.python_version())


def _example(run_dir: Path) -> Example | None:
    try:
        return Example.unpacked(SafeFiles(run_dir).read(EXAMPLE, LARGEST_EXAMPLE))
    except (OSError, DataError):
        return None


def _environment(facts: Mapping[str, Any], need: Needed) -> dict[str, str]:
    """Return the files that tell MLflow which environment the model needs."""
    versions = facts.get("versions")
    had = versions if isinstance(versions, Mapping) else {}
    wanted = {
        "mlflow": version("mlflow"),
        "torch": str(had.get("torch", "")).partition("+")[0],
        "ebmcore": str(had.get("ebmcore", "")),
        **need.distributions,
    }
    lines = [f"{name}=={number}" if number else name for name, number in wanted.items()]
    python = _python(facts)
    conda = [f"python={python}", "pip", {"pip": lines}]
    return {
        "requirements.txt": "\n".join(lines) + "\n",
        "python_env.yaml": yaml.safe_dump(
            {
                "python": python,
                "build_dependencies": ["pip"],
                "dependencies": ["-r requirements.txt"],
            },
            sort_keys=False,
        ),
        "conda.yaml": yaml.safe_dump(
            {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": conda},
            sort_keys=False,
        ),
    }
