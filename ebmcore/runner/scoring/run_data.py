"""The data of a run when new points come: what it held out, and how it reads another file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ebmcore.data.load import Data
from ebmcore.errors import EbmError
from ebmcore.plugins import Host
from ebmcore.runner.scoring.file_like import file_like
from ebmcore.runner.scoring.new_points import NewPoints, points_of


class RunData:
    """The data of a run that is open.

    Args:
        columns: The names of the numbers of an event of the dataset, if they are known.
        read: Reads the data, or returns them if they are in memory.
        dataset: Builds the dataset component, which need not be read.
        host: The plugins, of which one may offer the dataset `file`.
    """

    def __init__(
        self,
        columns: Sequence[str] | None,
        read: Callable[[], Data],
        dataset: Callable[[], Any],
        host: Host | None,
    ) -> None:
        self.columns = columns
        self.read = read
        self.dataset = dataset
        self.host = host

    @classmethod
    def of(cls, data: Data, host: Host | None) -> RunData:
        """Return that of a run whose data are in memory; it keeps the held-out points of them."""
        kept = data._replace(
            x=data.x.new_empty(0, *data.event_shape), y=None, mask=None, rows=None, stream=None
        )
        columns = data.fingerprint.columns if data.fingerprint else None
        source = getattr(data.source, "original", data.source)
        return cls(columns, lambda: kept, lambda: source, host)

    def points(
        self, file: str | Path, event_shape: tuple[int, ...], dtype: torch.dtype
    ) -> NewPoints:
        """Return the points of a file, read as the run's dataset reads its own; raises EbmError."""
        new = file_like(self.dataset(), file, event_shape, self.host)
        points = points_of(new, str(file), dtype)
        names = points.columns
        if self.columns and names and tuple(names) != tuple(self.columns):
            raise EbmError(
                f"{file}: has the columns {', '.join(names)}; the run was trained on "
                f"{', '.join(self.columns)}"
            )
        return points
