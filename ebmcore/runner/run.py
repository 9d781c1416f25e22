"""A run: its directory, status, last metrics, energy, and samples of its model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from ebmcore.contracts import Chains, Start
from ebmcore.data.fingerprint import Fingerprint
from ebmcore.data.load import Data
from ebmcore.data.mask import some_masks
from ebmcore.data.transforms import Transforms
from ebmcore.data.values.arrays import is_frame
from ebmcore.errors import EbmError
from ebmcore.plugins import Host
from ebmcore.plugins.suggestions import KNOWN_COMMANDS
from ebmcore.runner.requests import Requests
from ebmcore.runner.results import (
    Rows,
    RowsReader,
    figures_of,
    history_of,
    reader_of_objects,
    run_html,
)
from ebmcore.runner.results.draws import Draws, joined
from ebmcore.runner.scoring import NewPoints, RunData, Scorer, Scores, points_given
from ebmcore.sampling import Sampler
from ebmcore.spaces import REAL, Space
from ebmcore.train.loop import Loop


class Run:
    """One execution of one experiment, while it trains and after it ended."""

    def __init__(
        self,
        directory: Path,
        energy: nn.Module,
        *,
        bounds: Tensor,
        space: Space = REAL,
        sampler: Sampler | None = None,
        chains: Chains | None = None,
        masks: Tensor | None = None,
        networks: Mapping[str, nn.Module] | None = None,
        transforms: Transforms | None = None,
        data: RunData | None = None,
        seed: int = 0,
    ) -> None:
        self.dir = directory
        self.status = "RUNNING"
        self.stopped = ""  # why a FINISHED run ended early: a callback or a hook stopped it
        self.ended_early = ""  # why a KILLED run ended that no signal ended: it was pruned
        self.step = 0
        self.metrics: dict[str, float] = {}  # the last value of each
        self.warnings: list[str] = []
        self.seconds_by_part: dict[str, float] = {}  # where the time went, most first
        self.skipped_checkpoints: list[str] = []  # of a loaded run: newer ones that are damaged
        self.mlflow: dict[str, str] = {}  # uri, experiment_id, run_id; empty when tracking is off
        self.energy = energy  # with the averaged weights, when the run keeps an average
        self.networks = dict(networks or {})  # by name; averaged, as the energy is
        self.held_networks = self.networks  # the objects that the sampler and the chains may hold
        self.bounds = bounds  # (2, *event), the range of the training data
        self.space = space  # the set that events live in
        self.transforms = transforms or Transforms(dtype=bounds.dtype)  # of the data's units
        self.sampler = sampler
        self.chains = chains
        self.masks = masks  # (k, T), some of the data's, which samples have
        self.data = data  # None: those of a run of objects that was opened again
        self.lacks = ""  # of such a run: why it has no sampler or chains
        self.seed = seed
        self.is_own = False  # see `LiveRun`
        self.requests: Requests | None = None  # while it trains in this process
        self._scorers: dict[bool, Scorer] = {}
        self._said: set[str] = set()  # warnings of scores
        self.find_mlflow: Callable[[], Mapping[str, Any]] = dict  # MLflow's record, while it trains
        self.read_rows: RowsReader | None = None  # None: those of a run of objects, opened again
        self.fingerprint: Fingerprint | None = None  # of its data, as far as it was recorded
        self._rows: Data | None = None

    @classmethod
    def of(cls, directory: Path, loop: Loop, seed: int, host: Host | None) -> Run:
        """Return the run of parts that are about to be trained."""
        parts = loop.parts
        run = cls(
            directory,
            loop.energy,
            networks=loop.networks,
            bounds=parts.data.bounds,
            space=parts.data.space,
            sampler=parts.sampler,
            chains=parts.chains,
            masks=some_masks(parts.data.mask),
            transforms=parts.data.transforms,
            data=RunData.of(parts.data, host),
            seed=seed,
        )
        run.held_networks = parts.networks
        run.read_rows = reader_of_objects(parts.data)
        run.fingerprint = parts.data.fingerprint
        return run

    @property
    def history(self) -> Any:
        """The recorded metrics as a DataFrame of pandas: a row a step, a column a metric.

        NaN stands where a metric wasn't recorded at that step. `run.history["loss"].dropna()` is
        one curve.
        """
        return history_of(self.dir)

    @property
    def figures(self) -> dict[str, list[Path]]:
        """The pictures of each monitor, in the order of their steps.

        Those of a monitor's figure stand under its name, those of another picture of its under
        MONITOR/KEY.
        """
        return figures_of(self.dir)

    @property
    def train_data(self) -> Rows:
        """The rows that the run trained on, in the data's own units: x, and y and mask if any.

        They are read once more, and kept: the run itself holds transformed ones, and drops those it
        trained on. Of rows that a loader streams they are the selection that monitors see. Raises
        EbmError when the data changed or are gone, or the run was made of objects and opened again.
        """
        return Rows.trained_on(self._read())

    @property
    def held_out(self) -> Rows:
        """The rows that were set aside, as `train_data` has those that weren't."""
        return Rows.held_out(self._read())

    def _read(self) -> Data:
        if self._rows is None:
            if self.read_rows is None:
                raise EbmError(
                    f"{self.dir}: made of objects; its data are those it was given: hand them over "
                    "as ebmcore.load(…, data=…)"
                )
            self._rows = self.read_rows(self.fingerprint)
            for text in self._rows.changes:
                warnings.warn(text, stacklevel=4)
        return self._rows

    def report(self, path: str | Path = "report.html", *, force: bool = False) -> Path:
        """Write an HTML page about the run, which needs no network; return its path.

        As `ebmcore report` does: curves, pictures, animations, where the time went, how to repeat
        it. `force` replaces a file that is there. Raises EbmError when the file can't be written,
        or the distribution that makes reports isn't installed.
        """
        distribution = KNOWN_COMMANDS["report"]
        try:
            reports = import_module(distribution.replace("-", "_"))
        except ImportError as error:
            raise EbmError(f"run.report needs `pip install {distribution}` ({error})") from error
        written: Path = reports.write_report([self.dir], path, force=force).path
        return written

    def sample(
        self,
        n: int,
        n_steps: int | None = None,
        *,
        seed: int = 0,
        y: Any = None,
        mask: Any = None,
    ) -> Tensor:
        """Draw n events, (n, *event), with the run's own sampler and chains.

        They have the units of the data: transforms are undone, as far as they have an inverse.

        No chain begins at the data. Chains that training keeps and that began at noise, or the
        like, go on from where it left them; others begin at their noise, or uniformly over the
        data's range, or over a discrete space, as monitors' samples do. n_steps is ten times the
        training's by default. The same seed draws the same events. y gives each its condition,
        (n, …), or a number all of them; without it, chains of a conditional energy have those of
        the kept ones. mask gives each its steps that count, (n, T), or (T,) all of them; without
        it, kept chains have their own, and others draw the data's. Steps that don't count are 0.
        More than 100,000 are drawn in pieces, which needs the memory of one and takes as long.
        Warns when more events than kept chains begin at these, so that some resemble each other.
        Raises EbmError when the run has no sampler, there is too little memory, or the energy takes
        no such y or mask.
        """
        drawn = self.draw(n, n_steps, seed=seed, y=y, mask=mask)
        if not self.transforms.parts:
            return drawn.x
        return self.transforms.inverse(drawn.x, mask=drawn.mask)

    def draw(
        self,
        n: int,
        n_steps: int | None = None,
        *,
        seed: int = 0,
        y: Any = None,
        mask: Any = None,
    ) -> Start:
        """Draw as `sample` does; return the events and, where they have any, their y and mask.

        The events are as the energy takes them: `run.transforms.inverse(x)` has the data's units.
        """
        draws = self.draws(n, n_steps, seed=seed, y=y, mask=mask)
        if draws.warning:
            warnings.warn(draws.warning, stacklevel=2)
        return joined(list(draws))

    def draws(
        self,
        n: int,
        n_steps: int | None = None,
        *,
        seed: int = 0,
        y: Any = None,
        mask: Any = None,
    ) -> Draws:
        """Return the events of `draw` as pieces to iterate over, of 100,000 events and less."""
        return Draws(self, n, n_steps, seed=seed, y=y, mask=mask)

    def score(self, x: Any, *, y: Any = None, mask: Any = None, percentile: bool = True) -> Any:
        """Score new points, in the units of the data: energy, ‖∇E‖, percentile of the energy.

        The percentile is the share of held-out points whose energy is at most as high, 0 to 100: a
        high one is unusual. A percentile needs the data of the run, which a run that was opened
        again reads once more.

        Args:
            x: A tensor or an array (n, *event), a DataFrame of pandas, or the path of a file, which
                the run's dataset reads as its own. Of a DataFrame the columns of the training data
                are taken by name, if the run knows these.
            y: The labels, (n, …), or one for all, of an energy of labels; with a DataFrame it may
                be the name of a column. A file has its own.
            mask: The steps of each event that count, (n, T).
            percentile: Whether to compare with held-out points.

        Returns `Scores`: tensors (n,), or arrays for an array, and None for what there is none of.
        A DataFrame gives one of the same index. Warns, once, where there is no percentile. Raises
        DataError for bad rows, EbmError when the run's data changed and it can't tell any more
        which of them were held out.
        """
        return self._score(x, y, mask, percentile=percentile)

    def energies(self, x: Any, *, y: Any = None, mask: Any = None) -> Any:
        """Return the energy of each point in the units of the data: E(T(x)) - log |det dT/dx|.

        Takes the same points as `score`, whose `energy` it is. A tensor or a file gives a tensor,
        (n,), an array an array, and a DataFrame a Series of the same index. `run.energy` itself is
        the module E, of tensors that the transforms T made.
        """
        scores = self._score(x, y, mask, percentile=False)
        return scores["energy"] if is_frame(x) else scores.energy

    def _score(self, x: Any, y: Any, mask: Any, *, percentile: bool) -> Any:
        scorer = self.scorer(percentile=percentile)
        if isinstance(x, str | Path):
            points = self.points(x)
        else:
            columns = None if self.data is None else self.data.columns
            points = points_given(x, y, mask, columns, self.bounds.dtype)
        for text in (*scorer.warnings, *points.warnings):
            if text not in self._said:
                self._said.add(text)
                warnings.warn(text, stacklevel=3)
        scores = Scores.joined(list(scorer.parts(points)))
        if isinstance(x, Tensor):
            return Scores(*(None if of is None else of.to(x.device) for of in scores))
        if isinstance(x, str | Path):
            return scores
        arrays = Scores(*(None if of is None else of.numpy() for of in scores))
        if not is_frame(x):
            return arrays
        there = {name: of for name, of in arrays._asdict().items() if of is not None}
        return x[[]].assign(**there)

    def points(self, file: str | Path) -> NewPoints:
        """Read the new points of a file, as the run's dataset reads its own. Raises EbmError."""
        if self.data is None:
            raise EbmError(
                f"{self.dir}: made of objects; score a tensor, not {file}, or hand its data over: "
                "ebmcore.load(…, data=…)"
            )
        shape = self.transforms.shapes[0] if self.transforms.parts else self.bounds.shape[1:]
        return self.data.points(file, tuple(shape), self.bounds.dtype)

    def scorer(self, *, percentile: bool = True) -> Scorer:
        """Return what scores points, and compares them with held-out ones if `percentile` says so.

        Raises EbmError when these can't be read, or can't be told from others.
        """
        if percentile not in self._scorers or self.requests is not None:  # while it trains
            scorer = Scorer(
                self.energy,
                self.transforms,
                self.space,
                self.bounds,
                masked=self.masks is not None,
            )
            if percentile and self.data is None:
                scorer.warnings.append(
                    "the run was made of objects, so there are no held-out points, nor "
                    "percentiles, until you hand its data over: ebmcore.load(…, data=…)"
                )
            elif percentile and self.data is not None:
                try:
                    data = self.data.read()
                except EbmError as error:
                    raise EbmError(
                        f"{error}\nScores but for the percentile need none of the run's data: "
                        "--no-percentile, or run.score(x, percentile=False)"
                    ) from error
                scorer.compare_with(data)
            self._scorers[percentile] = scorer
        return self._scorers[percentile]

    @property
    def mlflow_run_id(self) -> str | None:
        """The id of the MLflow run, once MLflow answered; None when there is none."""
        return self.mlflow.get("run_id") or self.find_mlflow().get("run_id")

    def log_metric(self, name: str, value: float) -> None:
        """Record a metric at the run's step; see `LiveRun`."""
        self._open("log_metric").log_metric(name, value)

    def log_artifact(self, path: str | Path, name: str | None = None) -> Path:
        """Copy a file to the run's `artifacts`; see `LiveRun`."""
        return self._open("log_artifact").log_artifact(path, name)

    def warn(self, text: str) -> None:
        """Record a warning and show it; see `LiveRun`."""
        self._open("warn").warn(text)

    def stop(self, reason: str) -> None:
        """End the run as FINISHED after its step; see `LiveRun`."""
        self._open("stop").stop(reason)

    def _open(self, method: str) -> Requests:
        if self.requests is None:
            raise EbmError(
                f"run.{method}: {self.dir} isn't training in this process, or it has closed"
            )
        return self.requests

    def summary(self) -> dict[str, Any]:
        """Return what `ebmcore run --json` prints."""
        return {
            "status": self.status,
            "run_dir": str(self.dir),
            "mlflow_run_id": self.mlflow_run_id,
            "metrics": self.metrics,
            "warnings": self.warnings,
            "stopped": self.stopped or None,
        }

    def __repr__(self) -> str:
        return f"<Run {self.dir} {self.status} at step {self.step}>"

    def _repr_html_(self) -> str:
        """Return the run as a notebook shows it: status, last metrics, last pictures."""
        return run_html(self.dir, self.status, self.step, self.metrics, self.figures, self.warnings)


class Listener(Protocol):
    """Is called while a run trains, in the same process, and may end it early."""

    def run_started(self, run: Run) -> None:
        """The run's directory exists and its first step is next."""

    def metrics_recorded(self, step: int, metrics: Mapping[str, float]) -> str:
        """Metrics were recorded; return why the run should end here, or an empty text."""
