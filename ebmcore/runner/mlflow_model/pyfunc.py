"""`mlflow.pyfunc.load_model` of a run: energies, scores and samples in the units of the data."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ebmcore.data.values.arrays import is_frame
from ebmcore.errors import EbmError
from ebmcore.runner.api import load
from ebmcore.runner.run import Run
from ebmcore.runs.run_json import read_run_json
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.sampling import Taken, conditions_of
from ebmcore.trackers.mlflow.model.needed import needed
from ebmcore.trackers.mlflow.model.signature import DEFAULTS, label_column

_PLUGINS = "EBMCORE_MODEL_PLUGINS"  # local plugin files that the user trusts, for `models serve`
_WHAT = ("energy", "score", "sample")


class EnergyModel:
    """A trained energy behind MLflow's `predict`."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def get_raw_model(self) -> nn.Module:
        """Return the energy, an `nn.Module` of events after the data's transforms."""
        return self.run.energy

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return the energies of events, their scores, or samples of the model.

        Args:
            data: A DataFrame of the training data's columns, an array (n, *event), or a dict of
                arrays `x` and, as the signature has them, `y` and `mask`.
            params: `what` is energy: (n,), nats, as `run.score` gives them; score: those and the
                norm of the gradient, one column each; or sample: `n` events, drawn by the run's
                sampler in `n_steps` (0: its own number) from `seed`. Their labels and lengths are
                those that `run.sample` draws; when n is 0 there is one for each row of the data,
                with the label and the length of that row. `label` is that of all events, in place
                of any other. Samples with labels or lengths are as the data are given: a table
                with the labels' column, or a dict of x, y and mask.

        Raises EbmError for another `what`, and as `run.score` and `run.sample` do.
        """
        told = {**DEFAULTS, **(params or {})}
        if told["what"] not in _WHAT:
            raise EbmError(f"what: should be {', '.join(_WHAT)}; got {told['what']!r}")
        x, y, mask = self._given(data)
        if told["label"] is not None:
            y = self._label(float(told["label"]), of_samples=told["what"] == "sample")
        if told["what"] == "sample":
            return self._sample(told, x, y, mask)
        scores = self.run.score(x, y=y, mask=mask, percentile=False)
        if told["what"] == "energy":
            return np.asarray(scores.energy)
        if is_frame(scores):
            return scores
        found = {name: of for name, of in scores._asdict().items() if of is not None}
        return _frame(found)

    def _given(self, data: Any) -> tuple[Any, Any, Any]:
        if isinstance(data, Mapping) and "x" in data:
            return data["x"], data.get("y"), data.get("mask")
        if is_frame(data) and self._columns is not None:
            name = label_column(self._columns)
            return data, (name if name in data.columns else None), None
        return data, None, None

    def _sample(self, told: Mapping[str, Any], x: Any, y: Any, mask: Any) -> Any:
        n = int(told["n"])
        if n and told["label"] is None:
            y = None
        if isinstance(y, str):
            y = x[y].to_numpy()
        of_rows = {"y": y, "mask": None if n else mask}
        steps, seed = int(told["n_steps"]) or None, int(told["seed"])
        drawn = self.run.draw(n or len(x), steps, seed=seed, **of_rows)
        events, transforms = drawn.x, self.run.transforms
        if transforms.parts:
            events = transforms.inverse(events, mask=drawn.mask)
        found = {"x": events, "y": drawn.y, "mask": drawn.mask}
        arrays = {name: of.cpu().numpy() for name, of in found.items() if of is not None}
        columns, one_each = self._columns, drawn.y is None or drawn.y.ndim == 1
        if columns is None or "mask" in arrays or not one_each:
            return arrays if len(arrays) > 1 else arrays["x"]
        labels = {label_column(columns): arrays["y"]} if "y" in arrays else {}
        return _frame(arrays["x"], columns=list(columns)).assign(**labels)

    def _label(self, label: float, *, of_samples: bool) -> float:
        taken = conditions_of(self.run.energy) or Taken((), ())
        if "y" not in (*taken.required, *(taken.optional if of_samples else ())):
            raise EbmError(f"label: the run's energy is not one of labels; got {label:g}")
        return int(label) if label.is_integer() else label

    @property
    def _columns(self) -> Sequence[str] | None:
        return None if self.run.data is None else self.run.data.columns


def _frame(*args: Any, **kwargs: Any) -> Any:
    return import_module("pandas").DataFrame(*args, **kwargs)  # which MLflow brings


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> EnergyModel:
    """Open the run in an MLflow model; MLflow calls this.

    Args:
        path: The folder `data/run` of the model.
        model_config: `plugins`, names or local files that the run needs and the user trusts; by
            default the files in EBMCORE_MODEL_PLUGINS, separated as in PATH. `device` as in
            `ebmcore.load`.

    Raises EbmError that names every missing distribution, or the local plugin files that the run
    was made with: they are code, and are imported only when the user names them.
    """
    told = dict(model_config or {})
    named = [p for p in os.environ.get(_PLUGINS, "").split(os.pathsep) if p]
    plugins = [*map(str, told.get("plugins") or ()), *named]
    need = needed(read_run_json(SafeFiles(path)))
    if missing := need.missing:
        raise EbmError(
            f"the model needs {', '.join(f'{n} {need.distributions[n]}' for n in missing)}, not "
            f"installed here: pip install {' '.join(missing)}"
        )
    try:
        run = load(path, plugins=plugins, device=str(told.get("device", "auto")))
    except EbmError as error:
        if not need.files or plugins:
            raise
        files = sorted(p for p in Path(path, "plugins").rglob("*.py"))
        raise EbmError(
            f"the model needs local plugin files, which are code: read them and name them by "
            f"model_config={{'plugins': {[str(f) for f in files]}}} or in {_PLUGINS}.\n{error}"
        ) from error
    for text in _changed_files(plugins, need.files):
        warnings.warn(text, stacklevel=2)
    return EnergyModel(run)


def _changed_files(plugins: Sequence[str], recorded: Mapping[str, str]) -> list[str]:
    """Return a warning for each named file that isn't the one that the run was made with."""
    found = []
    for file in map(Path, plugins):
        then = recorded.get(file.name)
        if then and file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() != then:
            found.append(f"{file} has other code than when this run was made")
    return found
