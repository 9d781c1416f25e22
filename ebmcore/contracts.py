"""The contracts: the methods that the core calls on a component, and nothing more.

A component is a class, whose constructor's parameters are its config, or a function, whose
keyword-only parameters are. A function with positional parameters is the component; a function
without builds it. The runner passes parameters of these names, which aren't config:

    constructors, factories   event_shape, data_range (2, *event), generator, device; and those of
                              losses alone: training_data (n, *event), on the CPU
    losses, when called       energy, x, x_neg, y, step, sampler, chains, generator

A sampler, a loss or a monitor that remembers something from one call to the next offers it by
`state_dict` and `load_state_dict`, as tensors and JSON types, so that a resumed run restores it.

The core calls a dataset without arguments; it returns x (n, *event), a pair (x, y) or a torch
Dataset. It may have `log_prob(x)`, (n, *event) on the CPU -> (n,) in nats, `entropy`, a float in
nats, and `bounds`, (2, *event), if its range is another than that of its points.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Generator, Tensor

    Loss = Callable[..., Tensor | tuple[Tensor, Mapping[str, Tensor]]]  # scalar, and metrics to log
    Dataset = Callable[[], Any]  # -> x, (x, y) or a torch Dataset

Energy = Callable[["Tensor"], "Tensor"]  # (batch, *event) -> (batch,); usually an nn.Module

BUILD_SLOTS = ("event_shape", "data_range", "generator", "device", "training_data")
LOSS_SLOTS = ("energy", "x", "x_neg", "y", "step", "sampler", "chains", "generator")


class Kernel:
    """A sampler: one step of a Markov kernel that leaves exp(-E), or something near it, invariant.

    A state is a NamedTuple of tensors whose first field is `x`, shape (chains, *event); an info is
    a NamedTuple of tensors that a monitor may log, each of shape (chains,).
    """

    implied_temperature: float | None = None  # T of exp(-E/T), the law sampled; None: not known

    def init(self, energy: Energy, x: Tensor) -> Any:
        """Make the state at x: everything that the next step needs and should not compute twice."""
        raise NotImplementedError

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw all the randomness of one step, on the device and in the dtype of x."""
        raise NotImplementedError

    def step(self, energy: Energy, state: Any, noise: tuple[Tensor, ...]) -> tuple[Any, Any]:
        """Return the next state and the info: pure, so no `.item()`, in-place write or RNG."""
        raise NotImplementedError


class Sample(NamedTuple):
    """The result of a sampler that offers `sample` whole, in place of init, noise and step."""

    x: Tensor  # (chains, *event), where the chains ended
    info: Any = None


class Trace(NamedTuple):
    """The states of chains along their way, as `sample_chain(trace=True)` returns them."""

    x: Tensor  # (kept, chains, *event)
    info: Any  # the kernel's info with each field stacked, (kept, chains); None if it has none


class Chains:
    """The starting points of each batch of chains, and the memory of its end."""

    def start(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Return starting points of x's shape, dtype and device; x is the batch of data."""
        raise NotImplementedError

    def keep(self, x_end: Tensor) -> None:
        """Remember the end points of the chains of the last `start`; by default, forget them."""

    def kept(self) -> Tensor | None:
        """All remembered chains, (chains, *event), or None when there are none."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as tensors and JSON types for `load_state_dict`."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""

    def share(self, rank: int, ranks: int) -> None:
        """Reduce these chains, before the first start, to one rank's share of one process's.

        By default nothing changes, so each rank keeps as many as one process would. Raises
        ValueError when there are no equal shares.
        """

    def deal(self, states: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> None:
        """Restore one rank's share of the states that another number of ranks saved.

        By default each rank restores the state of the earlier rank of its number, and further
        ranks start afresh.
        """
        if rank < len(states):
            self.load_state_dict(states[rank])


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
    n_steps: int = 10  # the sampler's steps per training step
    dataset: Any = None  # the dataset component: may have log_prob(x) and entropy
    bounds: Tensor | None = None  # (2, *event), the lowest and the highest value of the data
    x: Tensor | None = None  # (batch, *event), the last batch of data
    x_neg: Tensor | None = None  # (batch, *event), the last chains' end points
    info: Any = None  # of the last sampler step in training: a NamedTuple of tensors, (batch,) each
    gradients: Mapping[str, Tensor] = field(default_factory=dict)  # of the last training step
    history: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    # ^ the metrics recorded so far: name -> its (step, value) in order
    kernel: Any = None  # the sampler; None when the run has none
    draw: Callable[[int, int | None], Tensor] | None = None  # behind `sample`
    walk: Callable[[int, int, int], Trace] | None = None  # behind `trace`
    warn: Callable[[str], None] = warnings.warn  # recorded in the run and shown to the user

    @property
    def can_sample(self) -> bool:
        """Tell whether the run has a sampler and chains to draw from the model with."""
        return self.draw is not None

    def sample(self, n: int, n_steps: int | None = None) -> Tensor:
        """Draw n events, (n, *event), from copies of the run's chains moved on by n_steps.

        Without n_steps, ten times the steps of a training step. Raises ValueError when the run
        has no sampler.
        """
        if self.draw is None:
            raise ValueError("this run has no sampler, so its monitors can't draw from the model")
        return self.draw(n, n_steps)

    def trace(self, n: int, n_steps: int, thin: int = 1) -> Trace:
        """Move copies of n of the run's chains on by n_steps, and keep every thin-th state.

        They start as those of `sample` do. The trace's x is (n_steps // thin, n, *event). Raises
        ValueError when the run has no sampler.
        """
        if self.walk is None:
            raise ValueError("this run has no sampler, so its monitors can't trace its chains")
        return self.walk(n, n_steps, thin)


Monitor = Callable[[RunView], Mapping[str, Any]]


class RunInfo(Protocol):
    """A run, or a group of runs, as hooks and errors show it: `ebmcore.Run`, `ebmcore.Group`."""

    dir: Path  # its run directory
    status: str  # RUNNING, FINISHED, FAILED or KILLED
    metrics: dict[str, float]  # the last value of each
    warnings: list[str]

    @property
    def mlflow_run_id(self) -> str | None:
        """The id of its MLflow run; None when it has none."""

    def summary(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""


class Task(NamedTuple):
    """A command line for a launcher to start once, on any machine."""

    argv: tuple[str, ...]  # the program and its arguments
    log: Path  # file for its output and errors, appended; `open_log` opens it
    env: Mapping[str, str] = {}  # environment variables to add or replace


class Job(Protocol):
    """A task that was started, or waits for its start."""

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal's; None while it waits or runs.

        The code of a stopped task is never 0, unless it had ended before.
        """

    def stop(self) -> None:
        """Ask it to end, as SIGTERM does, and return at once; a second call changes nothing."""


class Launcher(Protocol):
    """Starts tasks, on this machine or on others.

    The caller limits how many run at once. A task's program, its folder (the current one) and its
    log have the same paths on the machine where it runs. `ebmcore.open_log` opens a log.
    """

    def start(self, task: Task) -> Job:
        """Start a task, or queue it, and return at once.

        Raises EbmError when it can't.
        """

    def close(self) -> None:
        """Stop running tasks, wait for their end, and release all resources."""


class Point(NamedTuple):
    """One value of one metric."""

    name: str
    step: int
    time: float  # seconds since 1970
    value: float  # may be nan, inf, -inf


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run directory, as its trackers see it."""

    dir: Path
    name: str
    started: float  # seconds since 1970
    config: Mapping[str, Any] = field(default_factory=dict)  # resolved, nested
    tags: Mapping[str, str] = field(default_factory=dict)  # its user, command, versions, group
    live: bool = True  # False: it has ended, and `ebmcore runs sync` sends the rest
    named: bool = True  # False: only the directory names this tracker, and anybody may have made it
    recorded: Mapping[str, Any] = field(default_factory=dict)  # what `record` returned before
    is_left: Callable[[], bool] = lambda: False  # tells that nobody waits: make no more calls


class Tracker:
    """Shows a run elsewhere: a thread reads the run directory and calls these methods in turn.

    The run never waits for them. Any method may raise: ebmcore pauses, calls `open` again, and
    sends again what may not have arrived. `RefusedError` means that this data will never be
    accepted; it is left out, and the run ends with a warning.
    """

    patience: float = 5.0  # seconds that a call may take once the run has ended
    answered: float = 0.0  # time.monotonic() of the last answer within a call of several requests
    place: str = ""  # where it shows the run, for messages
    notes: Sequence[str] = ()  # for the user, though nothing is missing
    checks_destination: bool = False  # True: `begin` refuses a place that only the directory names

    def begin(self, run: TrackedRun) -> None:
        """Remember the run; called before its first step, maybe twice, so it calls nothing slow.

        Raises EbmError, which says what to type, when the run must not be shown there.
        """
        self.run = run

    def open(self) -> bool:
        """Find the run there, or make it; return True when it is new and holds nothing yet."""
        raise NotImplementedError

    def steps_of(self, metric: str) -> Iterable[int]:
        """Return the steps at which it holds a value of the metric."""
        raise NotImplementedError

    def log_points(self, points: Sequence[Point]) -> None:
        """Add values that it doesn't hold, in the order in which they were recorded."""
        raise NotImplementedError

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Show the config; called after each `open`."""

    def log_events(self, lines: Mapping[int, str]) -> None:
        """Show lines of events.jsonl, by their numbers from 1 on; one may come twice."""

    def sizes_in(self, folder: str) -> Mapping[str, int]:
        """Return name -> bytes of the files that it holds of a folder of the run directory."""
        return {}

    def log_file(self, file: Path, folder: str) -> None:
        """Show a file of that folder: a figure, the config, the last weights, the log."""

    def end(self, status: str, ended: float) -> None:
        """Record the end: FINISHED, FAILED or KILLED, and when, in seconds since 1970."""

    def close(self) -> None:
        """Release all resources, after the last call or before the next `open`."""

    def record(self) -> Mapping[str, Any]:
        """Return what run.json keeps, as JSON types, to find the run there again."""
        return {}
