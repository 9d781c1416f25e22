"""The contracts of a run with its monitors, callbacks and hooks: how each sees it and speaks to it.

`contracts.py` has those of the components that train.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ebmcore.contracts import Conditions, Energy, Trace
from ebmcore.spaces import REAL, Space

if TYPE_CHECKING:
    from torch import Generator, Tensor


class NoSamplerError(ValueError):
    """A monitor wants samples of a run that has no sampler."""


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A monitor's view of a run. A monitor looks: it changes no weight, chain or random stream.

    The run calls a monitor with a view, at its cadence; it returns a mapping from names to numbers
    (float or 0-d tensor), matplotlib figures, or images (tensors (height, width) or (channels,
    height, width) with values in [0, 1]).
    """

    energy: Energy  # with the averaged weights, if the run keeps an average
    data: Tensor  # (n, *event), the training data
    held_out: Tensor  # (m, *event), may be empty
    generator: Generator  # this monitor's own random stream
    step: int = 0  # training steps done
    epoch: float = 0.0  # passes over the data done
    at_end: bool = True  # whether the run ends here, or had ended; no other look follows
    n_steps: int = 10  # the sampler's steps per training step
    dataset: Any = None  # the dataset component: may have log_prob(x) and entropy; of transformed
    # data its density in their units: log_prob(x), and the component itself as `original`
    bounds: Tensor | None = None  # (2, *event), the lowest and the highest value of the data
    space: Space = REAL  # the set that events live in
    x: Tensor | None = None  # (batch, *event), the last batch of data
    x_neg: Tensor | None = None  # (batch, *event), the last chains' end points
    begins_at_data: bool = False  # whether those chains may have begun at the data
    data_y: Tensor | None = None  # (n, …), the labels of `data`, if it has any
    held_out_y: Tensor | None = None  # (m, …), those of `held_out`
    y: Tensor | None = None  # (batch, …), those of `x`
    y_neg: Tensor | None = None  # (batch, …), those of the chains, if the energy requires labels
    data_mask: Tensor | None = None  # (n, T), bool: the steps of `data` that count, if not all do
    held_out_mask: Tensor | None = None  # (m, T), those of `held_out`
    mask: Tensor | None = None  # (batch, T), those of `x`
    mask_neg: Tensor | None = None  # (batch, T), those of `x_neg`
    info: Any = None  # of the last sampler step in training: a NamedTuple of tensors, (batch,) each
    networks: Mapping[str, Any] = field(default_factory=dict)  # by name; averaged, as the energy
    gradients: Mapping[str, Tensor] = field(default_factory=dict)  # of the last training step
    history: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    # ^ the metrics recorded so far: name -> its (step, value) in order
    kernel: Any = None  # the sampler; None when the run has none
    draw: Callable[..., Tensor] | None = None  # behind `sample`
    walk: Callable[..., Trace] | None = None  # behind `trace`
    reader: Callable[[Any], tuple[Tensor, Conditions]] | None = None  # behind `read`
    maker: Callable[[Hashable, Callable[[RunView], Any]], Any] | None = None  # behind `once`
    warn: Callable[[str], None] = warnings.warn  # recorded in the run and shown to the user
    transforms: Any = None  # `ebmcore.Transforms` from the dataset's events to these; None: none
    held_out_log_det: Tensor | None = None  # (m,), log |det| of the transforms at the held-out
    # events, nats; None when there are no transforms, or one of them has none
    columns: tuple[str, ...] | None = None  # the names of the numbers of a flat event, if known

    @property
    def can_sample(self) -> bool:
        """Tell whether the run has a sampler and chains to draw from the model with."""
        return self.draw is not None

    def sample(
        self, n: int, n_steps: int | None = None, *, y: Any = None, mask: Any = None
    ) -> Tensor:
        """Draw n events, (n, *event), from copies of the run's chains moved on by n_steps.

        They are samples to judge the model by, so none begins at the data: kept chains go on where
        they never did (`Chains.begins_at_data`), and others begin from noise, as those of
        `Run.sample` do. Without n_steps, ten times the steps of a training step. y gives each its
        condition, (n, …), or a number all of them, and mask its steps that count, (n, T), or (T,)
        for all; without them, chains have their own, or as the data have them. Steps that don't
        count are 0. Raises ValueError when the run has no sampler.

        Without y and mask the monitors of a step share one pool of draws for each n_steps: each
        gets its first n, whichever others ask. With them the draws are the monitor's own.
        """
        if self.draw is None:
            raise NoSamplerError("this run has no sampler, so monitors can't draw from the model")
        return self.draw(n, n_steps, **_given(y=y, mask=mask))

    def once(self, key: Hashable, make: Callable[[RunView], Any]) -> Any:
        """Return `make(view)`, which the monitors of a step make once for each key and share.

        The view that `make` gets is this one with a random stream of the key's own, so the result
        doesn't depend on which monitor asks first; change nothing in it. The key is a tuple of
        strings and numbers: the package's name, the work's, and all that the result depends on.

            energy = view.once(("my_package", "corners", n), lambda own: own.energy(corners(n)))
        """
        return make(self) if self.maker is None else self.maker(key, make)

    def undo(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return events in the dataset's own units, as far as the transforms have an inverse.

        The steps that a mask, (n, T), doesn't count stay 0.
        """
        undone: Tensor = x if self.transforms is None else self.transforms.inverse(x, mask=mask)
        return undone

    def read(self, dataset: Any) -> tuple[Tensor, Conditions]:
        """Return another dataset's points as the energy takes them, with their y and mask.

        The run's transforms map them: x is (n, *event), on the device of `data`. Raises DataError
        when the dataset can't be read, or its events have another space or shape than the run's
        have before its transforms; ValueError when nothing is behind it, as in a view of a test.
        """
        if self.reader is None:
            raise ValueError("this view has no `reader`, so it can't read another dataset")
        return self.reader(dataset)

    def trace(
        self,
        n: int,
        n_steps: int,
        thin: int = 1,
        *,
        y: Any = None,
        mask: Any = None,
        as_trained: bool = False,
    ) -> Trace:
        """Move copies of n of the run's chains on by n_steps, and keep every thin-th state.

        They start as those of `sample` do; with as_trained as those of a training step, from data
        where those do. The trace's x is (n_steps // thin, n, *event). Raises ValueError when the
        run has no sampler.
        """
        if self.walk is None:
            raise NoSamplerError("this run has no sampler, so its monitors can't trace its chains")
        given = _given(y=y, mask=mask, as_trained=as_trained or None)
        return self.walk(n, n_steps, thin, **given)


Monitor = Callable[[RunView], Mapping[str, Any]]


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


class RunInfo(Protocol):
    """A run, or a group of runs, as errors show it: `ebmcore.Run`, `ebmcore_sweep.Group`."""

    dir: Path  # its run directory
    status: str  # RUNNING, FINISHED, FAILED or KILLED
    metrics: dict[str, float]  # the last value of each
    warnings: list[str]

    @property
    def mlflow_run_id(self) -> str | None:
        """The id of its MLflow run, once MLflow answered; None when it has none."""

    def summary(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""


class LiveRun(RunInfo, Protocol):
    """A run while it trains, as hooks and callbacks get it: an `ebmcore.Run` that takes requests.

    Its methods raise EbmError once the run has closed.
    """

    step: int  # training steps done
    stopped: str  # why it ended before its last step, because of `stop`; empty otherwise
    energy: Any  # with the averaged weights, if the run keeps an average

    @property
    def is_own(self) -> bool:
        """Whether the user named its callbacks now, or their own installation recorded them.

        A resumed run directory may come from anybody: run no command and call no address that only
        a stranger's config names.
        """

    def log_metric(self, name: str, value: float) -> None:
        """Record a metric at the run's step, in metrics.jsonl and in its trackers.

        A second value of one step is dropped. Raises ValueError when the name is one of the run's
        own, TypeError when the value isn't a real number.
        """

    def log_artifact(self, path: str | Path, name: str | None = None) -> Path:
        """Copy a file to the run's `artifacts`, under its own name or `name`; return that path.

        A file of the same name is replaced; trackers get the files when the run ends. Raises
        ValueError when the name isn't that of a plain file, EbmError when one can't be copied.
        """

    def warn(self, text: str) -> None:
        """Record a warning in the run and show it to the user."""

    def stop(self, reason: str) -> None:
        """End the run as FINISHED, with its last monitors and checkpoint, after its current step.

        On several ranks it may be the step after, the same on all. run.json holds the first reason.
        """


class Callback:
    """Acts on a run at its events: stops it early, logs, notifies. Each method is optional.

    Rank 0 calls it. The bits of a run don't depend on it, unless it stops the run: it changes no
    weight and no mode of a module, and draws from no generator but its own. One that raises is
    switched off with a warning, and the run continues. If it remembers anything it has
    `state_dict` and `load_state_dict`, which a checkpoint holds.

    `metrics` may list the names that it logs, () for none, and `follows` its keys that name a
    metric: a config whose run records no such one is refused.
    """

    def on_start(self, run: LiveRun) -> None:
        """The run directory exists and the first step, or the first after a resume, is next."""

    def on_step(self, run: LiveRun, step: int) -> None:
        """A training step was done; a run whose callbacks lack this pays nothing for it."""

    def on_metrics(self, run: LiveRun, step: int, metrics: Mapping[str, float]) -> None:
        """These metrics were recorded at a step: of training, of monitors, or logged ones."""

    def on_checkpoint(self, run: LiveRun, path: Path) -> None:
        """A checkpoint was written at `path`; it holds the callback's state as it was before."""

    def on_error(self, run: LiveRun, error: BaseException) -> None:
        """The run is about to end as FAILED because of `error`."""

    def on_end(self, run: LiveRun, status: str) -> None:
        """The run ended; `status` is FINISHED, FAILED or KILLED. Trackers still take metrics."""


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))
