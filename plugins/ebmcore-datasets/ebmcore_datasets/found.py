"""A file's contents by their roles, as the dataset `file` reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ebmcore_datasets.formats.arrays import Rows
from ebmcore_datasets.tables.fill import Impute
from ebmcore_datasets.tables.keys import Column, Keys
from ebmcore_datasets.tables.layout import Layout
from ebmcore_datasets.tables.read import Learned


class Asked(NamedTuple):
    """The keys of a config about a file's contents, and the training file's answers to them.

    Attributes:
        keys: Which columns are which.
        impute: How missing numbers are filled.
        x_key: The name of the array of events.
        y_key: The name of the array of labels.
        shape: Of an event.
        training: For new points, looks up the training file's columns and what it says of them.
        label: Of new points, the labels that they have and the training file hasn't.
    """

    keys: Keys
    impute: Impute | None = None
    x_key: str = "x"
    y_key: str | None = None
    shape: tuple[int, ...] | None = None
    training: Callable[[], tuple[Layout, Learned]] | None = None
    label: Column | None = None


class Found(NamedTuple):
    """A file's contents.

    Attributes:
        x: The events, (n, *event).
        y: The labels, (n,).
        masks: An array that says which numbers of the events count, by its name.
        ids: The names of the rows, (n,).
        layout: The file's columns, where it has such.
        learned: For files of new points.
        ignored: The names of columns that the training file doesn't have.
    """

    x: Rows
    y: Tensor | None = None
    masks: Mapping[str, Tensor] = {}
    ids: np.ndarray[Any, Any] | None = None
    layout: Layout | None = None
    learned: Learned = Learned()
    ignored: tuple[str, ...] = ()
