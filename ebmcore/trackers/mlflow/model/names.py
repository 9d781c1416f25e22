"""The names of a run's models in MLflow, and what a user types for one."""

from __future__ import annotations

MODEL = "model"  # the last checkpoint's weights
BEST = "best"  # those of train.keep_best, if the run kept one
RUN = "data/run"  # the folder of the run directory in a model
_SCHEMES = ("runs:/", "models:/")


def is_mlflow_uri(text: str) -> bool:
    """Tell whether a user means a run or a model in MLflow."""
    return text.startswith(_SCHEMES)


def quoted(name: str) -> str:
    """Return a name as a filter of MLflow's takes it between single quotes."""
    return name.replace("'", "\\'")
