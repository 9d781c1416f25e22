"""Real time series: those that the package aeon carries, and your own .ts files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from ebmcore import DataError, pad_events
from ebmcore_datasets.time_series.ts_file import Series, read_ts

PACKAGE = "aeon"
INSTALL = "pip install 'ebmcore-datasets[aeon]'"


class TimeSeries:
    """Time series with labels, from a set that the package aeon carries or from a .ts file.

    `ItalyPowerDemand` has 1,096 days of power demand in 24 steps, in two seasons, each day shifted
    and scaled to mean 0 and standard deviation 1; `JapaneseVowels` 640 utterances of 7 to 29 steps
    of 12 channels by nine speakers; `GunPoint`, `BasicMotions`, `ArrowHead`, `OSULeaf` and others
    are there too. aeon's files are read; none of its code runs and nothing is downloaded.

    Called, it returns a mapping: x (n, T) of one channel or (n, T, C) in torch's default dtype, y
    (n,) the number of each series' class in the header's order, or the target as a number, and of
    series of different length `lengths` (n,). Without labels there is no y. Missing numbers are
    NaN, which a run refuses but at the ends of events. Raises DataError when aeon, the set or the
    file is not there, or a file is malformed.

    Source: Dau et al. 2019, "The UCR time series archive"; Bagnall et al. 2018, "The UEA
    multivariate time series classification archive".

    Args:
        name: The set, one of those in the installed aeon.
        path: A .ts file in place of it.
        split: Which files of the set to read: train, test, or both, one after the other.
        classes: Only series of these classes, as the file writes them; all when not given.
        order: The order of a series' steps in time: backwards and shuffled make anomalies of the
            same numbers, for `out_of_distribution` to compare with.
        generator: (runtime) Random generator of the shuffled steps.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        path: Path | None = None,
        split: Literal["train", "test", "both"] = "both",
        classes: Sequence[str | int] | None = None,
        order: Literal["forwards", "backwards", "shuffled"] = "forwards",
        generator: Generator | None = None,
    ) -> None:
        if (name is None) == (path is None):
            raise ValueError("give a name or a path, one of the two")
        if split not in ("train", "test", "both"):
            raise ValueError(f"split should be train, test or both; got {split!r}")
        self.name = name
        self.path = path
        self.split = split
        if order not in ("forwards", "backwards", "shuffled"):
            raise ValueError(f"order should be forwards, backwards or shuffled; got {order!r}")
        self.order = order
        self.generator = generator
        self.classes = None if classes is None else [str(one) for one in classes]

    def __call__(self) -> dict[str, Tensor]:
        """Return x and, where there are any, y and lengths."""
        files = [Path(self.path).expanduser()] if self.path is not None else self._files()
        read = [read_ts(file) for file in files]
        events = [event for series in read for event in series.events]
        labels = [label for series in read for label in series.labels or ()]
        chosen = list(range(len(events)))
        if self.classes is not None:
            self._refuse_unknown(read[0], labels)
            chosen = [i for i in chosen if labels[i] in self.classes]
        if not chosen:
            raise DataError(f"{files[0]} has no series of the classes {self.classes}")
        x, lengths = pad_events([self._ordered(torch.from_numpy(events[i])) for i in chosen])
        found: dict[str, Any] = {"x": x[..., 0] if x.shape[2] == 1 else x}
        found["x"] = found["x"].to(torch.get_default_dtype())
        if labels:
            found["y"] = _numbers([labels[i] for i in chosen], read[0].classes)
        if lengths is not None:
            found["lengths"] = lengths
        return found

    def _ordered(self, event: Tensor) -> Tensor:
        """Return a series, (T, C), with its steps in the order asked for."""
        if self.order == "forwards":
            return event
        if self.order == "backwards":
            return event.flip(0)
        return event[torch.randperm(len(event), generator=self.generator)]

    def _files(self) -> list[Path]:
        parts = ("TRAIN", "TEST") if self.split == "both" else (self.split.upper(),)
        spec = find_spec(PACKAGE)  # of a package in no other, this imports nothing
        if spec is None or not spec.submodule_search_locations:
            raise DataError(
                f"the sets of time_series are read from the package {PACKAGE}, which is not "
                f"installed: {INSTALL}"
            )
        folder = Path(spec.submodule_search_locations[0], "datasets", "data")
        files = [folder / str(self.name) / f"{self.name}_{part}.ts" for part in parts]
        if not all(file.is_file() for file in files):
            there = sorted(f.parent.name for f in folder.glob("*/*_TRAIN.ts"))
            known = ", ".join(dict.fromkeys(there)) or "none"
            raise DataError(
                f"the installed {PACKAGE} has no set {self.name!r} with {' and '.join(parts)} "
                f"files; it has {known}"
            )
        return files

    def _refuse_unknown(self, series: Series, labels: list[str]) -> None:
        there = series.classes or sorted(set(labels))
        unknown = [one for one in self.classes or () if one not in there]
        if unknown:
            known = ", ".join(there) or "none"
            raise DataError(f"there are no classes {', '.join(unknown)}; there are {known}")


def _numbers(labels: list[str], classes: list[str]) -> Tensor:
    if classes:
        return torch.tensor([classes.index(label) for label in labels])
    try:
        return torch.tensor([float(label) for label in labels])
    except ValueError as error:
        raise DataError(f"targets should be numbers: {error}") from error
