"""The sections of a config that are the core's own; their signatures are their keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Lt

from ebmcore.types import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for the whole run.

    Args:
        name: The run directory's name begins with it; by default the config file's name.
        seed: Every random stream is derived from it.
        device: Where the energy and the chains are: auto, cpu, cuda, cuda:1, mps.
        dtype: The type of weights and data.
    """

    name: str = "experiment"
    seed: NonNegativeInt = 0
    device: str = "auto"
    dtype: Literal["float32", "float64"] = "float32"


@dataclass(frozen=True, kw_only=True)
class Train:
    """How long to train and how.

    Args:
        epochs: Passes over the training data; give this or steps.
        steps: Training steps; give this or epochs.
        batch_size: Events in a batch, and chains run for it.
        clip_grad_norm: Scale the parameters' gradient down to this norm; null leaves it as it is.
        ema: Decay of the averaged weights that monitors and samples use; null keeps no average.
        data_noise: Standard deviation of Gaussian noise added to each batch of data.
        log_every: Steps between two lines of the training metrics, their means over these steps.
    """

    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    batch_size: PositiveInt = 128
    clip_grad_norm: PositiveFloat | None = None
    ema: Annotated[float, Ge(0), Lt(1)] | None = None
    data_noise: NonNegativeFloat = 0.0
    log_every: PositiveInt = 50

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            found = "neither" if self.epochs is None else "both"
            raise ValueError(f"give either epochs or steps; found {found}")


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where MLflow keeps the mirror of the run; `tracking: off` leaves MLflow out altogether.

    Args:
        experiment: The experiment's name; by default MLFLOW_EXPERIMENT_NAME, else the run's name.
        uri: The server or database; by default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.
        tags: Further tags of the MLflow run.
    """

    experiment: str | None = None
    uri: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Plugins:
    """Which plugins to load; by default every installed one.

    Args:
        require: Plugins without which the run is refused.
        disable: Plugins that are left out.
        files: Local Python files with decorated parts, relative to the config file.
    """

    require: list[str] = field(default_factory=list)
    disable: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
