"""The core's own sections of a config; their signatures are their keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from ebmcore.config.cadence import Cadence
from ebmcore.types import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

# more than the processors of any machine that a run is for; OpenMP ends a process that can't start
# as many as were asked for
MOST_THREADS = 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the whole run.

    Args:
        name: The run directory's name begins with it; by default the config file's name.
        seed: All random streams derive from it.
        device: The device of the energy and the chains: auto, cpu, cuda, cuda:1, mps.
        dtype: The type of weights and data.
        compile: Whether to compile training steps, which takes 10 to 60 s and makes each step
            quicker; auto compiles where that clearly pays for this config.
        compile_seconds: Time for compiling; parts that take longer stay eager, also when the run
            is resumed. Several ranks wait for each other, without limit.
        threads: Threads of the processor for this run, at most 1024; auto is 1 for an energy so
            small that more would only wait for each other, and torch's own choice otherwise.
    """

    name: str = "experiment"
    seed: NonNegativeInt = 0
    device: str = "auto"
    dtype: Literal["float32", "float64"] = "float32"
    compile: Literal["auto"] | bool = "auto"
    compile_seconds: PositiveFloat = 300.0
    threads: Literal["auto"] | Annotated[int, Gt(0), Le(MOST_THREADS)] = "auto"


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
        checkpoint_every: How often the run saves a checkpoint: '500 steps', '2 epochs',
            '10 minutes' or 'end'; it always saves one at the end and on a signal.
        keep_checkpoints: Number of last checkpoints to keep.
        keep_best: A metric, such as exact_likelihood/kl: the run also writes and keeps the
            checkpoint where it was lowest, or highest with 'max NAME'.
        on_divergence: The response to NaN, infinity or energies beyond max_energy or max_gap: stop
            the run; skip that step, which checks the numbers after each step; or rollback to the
            last good checkpoint with fresh noise.
        on_unstable: The response to a step of the sampler that is unstable for the energy or too
            large for the data, measured with or without monitors: warn; stop the run; shrink,
            which halves the step size; or rollback to the last good checkpoint and then halve it.
        max_energy: Bound on |E| of data and samples, in nats, beyond which a run has diverged;
            checked once every log_every steps, with `skip` at each; null sets none.
        max_gap: Bound on the energy gap |mean E(data) - mean E(samples)|, in nats, beyond which a
            run has diverged; checked as max_energy is. The gap is `train/energy_gap`, also on the
            line of progress: set twice its largest size while samples are good. A rollback goes
            to the last checkpoint that was saved while the gap was at most half of it.
        precision: How the energy is evaluated: in float32, or in bf16 by torch.autocast, on
            processors and GPUs that have it; weights, chains and metrics stay float32.
        max_skips: Number of steps in a row that may be skipped before the run stops.
        max_rollbacks: Number of times that a run may be rolled back before it stops.
        rollback_lr: Factor of the learning rate at each rollback; 1 leaves it as it is.
    """

    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    batch_size: PositiveInt = 128
    clip_grad_norm: PositiveFloat | None = None
    ema: Annotated[float, Ge(0), Lt(1)] | None = None
    data_noise: NonNegativeFloat = 0.0
    log_every: PositiveInt = 50
    checkpoint_every: str = "10 minutes"
    keep_checkpoints: PositiveInt = 3
    keep_best: str | None = None
    on_divergence: Literal["stop", "skip", "rollback"] = "stop"
    on_unstable: Literal["warn", "stop", "shrink", "rollback"] = "warn"
    max_energy: PositiveFloat | None = None
    max_gap: PositiveFloat | None = None
    precision: Literal["float32", "bf16"] = "float32"
    max_skips: PositiveInt = 10
    max_rollbacks: PositiveInt = 3
    rollback_lr: Annotated[float, Gt(0), Le(1)] = 1.0

    def __post_init__(self) -> None:
        try:
            Cadence.parse_with_minutes(self.checkpoint_every)
        except ValueError as error:
            raise ValueError(f"checkpoint_every {error}; got {self.checkpoint_every!r}") from error
        if (self.epochs is None) == (self.steps is None):
            found = "neither" if self.epochs is None else "both"
            raise ValueError(f"give either epochs or steps; found {found}")

    def total_steps(self, points: int) -> int:
        """Return a run's training steps on so many points; an epoch drops an incomplete batch."""
        return self.steps or (self.epochs or 0) * (points // self.batch_size)


@dataclass(frozen=True, kw_only=True)
class Loader:
    """How batches are read from data that stay where they are stored.

    Args:
        workers: Processes that read ahead; with 0 the run itself reads each batch.
        prefetch: Batches that each worker reads ahead.
        seen: How many training rows, and as many held-out rows, are read at the beginning for
            monitors and to fit transforms; by default 10,000, or as many as hold 34 million
            numbers.
    """

    workers: Annotated[int, Ge(0), Le(MOST_THREADS)] = 0
    prefetch: PositiveInt = 2
    seen: PositiveInt | None = None


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """The run's mirror in MLflow; `off` leaves it out, and other trackers are named by `type`.

    Args:
        experiment: The experiment's name; by default MLFLOW_EXPERIMENT_NAME, else the run's name.
        uri: The server or database; by default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.
        tags: Further tags of the MLflow run.
        register: A name in MLflow's registry: a run that FINISHED becomes its next version.
        checkpoints: Those that a run sends at its end: weights, which score and sample; last,
            the last one whole as well, so that a run that was stopped resumes from there; or none.
        input_example: Whether the MLflow model comes with a few rows of the data as an example.
    """

    experiment: str | None = None
    uri: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    register: str | None = None
    checkpoints: Literal["weights", "last", "none"] = "weights"
    input_example: bool = True


def is_section(given: Any) -> bool:
    """Tell whether `tracking` holds MLflow's keys alone: a mapping without a `type`, or nothing."""
    return given is None or (isinstance(given, dict) and "type" not in given)


@dataclass(frozen=True, kw_only=True)
class Plugins:
    """The plugins to load; by default every installed one.

    Args:
        require: Plugins that the run needs.
        disable: Plugins to leave out.
        files: Local Python files with decorated components, relative to the config file.
        modules: Modules whose classes and functions are named as `type: "package.module:Name"`.
    """

    require: list[str] = field(default_factory=list)
    disable: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
