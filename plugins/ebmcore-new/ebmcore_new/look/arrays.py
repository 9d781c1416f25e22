"""Looks at an array: rows of numbers, points, images, sequences, bits or categories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ebmcore_datasets import File
from ebmcore_datasets.survey import ArrayFacts, survey_arrays
from torch import Tensor

from ebmcore.errors import EbmError
from ebmcore_new.look.seen import Key, Kind, Seen
from ebmcore_new.look.words import counted, listed, scalar, several

_EVENTS = ("x", "X", "data", "images", "inputs", "features", "x_train", "X_train", "train")
_LABELS = ("y", "label", "labels", "target", "targets", "y_train", "classes")
_STEPS = ("mask", "lengths")
_LOOK = 10_000  # rows
_MOST_VALUES = 16  # of categories
_SMOOTH = 0.5  # correlation of neighbouring columns above which they are steps in time
_LEAST_STEPS = 8


def look_at_arrays(path: Path, ending: str) -> Seen:
    """Look at a .npy, .npz, .pt or .pth file.

    Raises EbmError when the data don't say what they are, with what must be decided; DataError when
    the file can't be read.
    """
    arrays = survey_arrays(path.expanduser(), ending)
    x = _events(arrays, path)
    keys = [Key("type", "file"), Key("path", scalar(str(path)))]
    if x.name not in ("", "x"):
        keys.append(Key("x_key", scalar(x.name), "the array of the events"))
    y = next((a for a in arrays if a.name in _LABELS and len(a.shape) == 1), None)
    if y is not None:
        keys.append(Key("y_key", scalar(y.name), "the labels"))
    rows, labels, ragged = _read(path, x, y, arrays)
    if not x.shape or x.shape[0] < 1:
        raise EbmError(f"{path} should hold rows, shape (n, …); it holds {x.shape}")
    return _Look(x.shape, rows, x.dtype, ragged, labels, path).seen(keys)


def _events(arrays: Sequence[ArrayFacts], path: Path) -> ArrayFacts:
    """Return the array of events. Raises EbmError when several may be it."""
    candidates = [a for a in arrays if a.name not in (*_LABELS, *_STEPS)]
    for name in _EVENTS:
        candidates = [a for a in candidates if a.name == name] or candidates
    if len(candidates) == 1:
        return candidates[0]
    shown = several([f"{a.name} {a.shape}" for a in arrays], 8)
    raise EbmError(
        f"{path} holds the arrays {shown}: which one has the events? Save it as x, with labels as "
        "y, or write a config with data.x_key yourself"
    )


def _read(
    path: Path, x: ArrayFacts, y: ArrayFacts | None, arrays: Sequence[ArrayFacts]
) -> tuple[Tensor, int | None, bool]:
    """Return some rows, how many classes the labels have, and whether lengths differ."""
    read = File(path, x_key=x.name or "x", y_key=None if y is None else y.name)
    found: Any = read.read_in_parts(check=False)
    named = found if isinstance(found, dict) else {"x": found}
    if isinstance(found, tuple):
        named = dict(zip(("x", "y"), found, strict=True))
    stored = named["x"]
    step = -(-len(stored) // _LOOK)
    rows = stored[::step] if isinstance(stored, Tensor) else stored.at(
        torch.arange(0, len(stored), step)
    )  # fmt: skip
    labels = named.get("y")
    classes = None if labels is None else len(labels.unique())
    steps = any(a.name in _STEPS for a in arrays)
    return rows, classes, steps


class _Look:
    """Decides from shape, type and numbers.

    Args:
        shape: Of the whole array.
        rows: Some of its rows.
        dtype: The type in the file.
        ragged: Whether the file says which steps count.
        labels: How many classes.
        path: The file.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        rows: Tensor,
        dtype: str,
        ragged: bool,
        labels: int | None,
        path: Path,
    ) -> None:
        self.n = shape[0]
        self.event = shape[1:] or (1,)
        self.rows = rows.reshape(len(rows), *self.event)
        self.dtype = dtype
        self.labels = labels
        self.path = path
        self.gaps = rows.is_floating_point() and bool(rows.isnan().any())
        self.ragged = ragged or (self.gaps and len(self.event) > 1)
        self.low = float(torch.nan_to_num(rows.double(), nan=math.inf).min())
        self.high = float(torch.nan_to_num(rows.double(), nan=-math.inf).max())
        self.whole = not rows.is_floating_point()

    def seen(self, keys: Sequence[Key]) -> Seen:
        """Return what was found."""
        binary = (
            self.low >= 0 and self.high == 1 and bool(((self.rows == 0) | (self.rows == 1)).all())
        )
        if self.ragged:
            return self._sequences(keys)
        if binary and self.event != (1,):
            return self._bits(keys)
        if self.dtype == "uint8" or len(self.event) == 3:
            return self._images(keys)
        if self._are_categories():
            return self._categories(keys)
        if len(self.event) == 1:
            return self._flat(keys)
        if len(self.event) == 2:
            short, long = sorted(self.event)
            if short >= 8 and long <= 2 * short:
                return self._images(keys)
            return self._sequences(keys)
        raise EbmError(
            f"{self.path}: events of shape {self.event} are no rows, images (C, H, W) or sequences "
            "(T, C); save them in one of these shapes"
        )

    def _make(self, kind: Kind, about: str, keys: Sequence[Key], **more: Any) -> Seen:
        more.setdefault("event", self.event)
        if self.whole and kind not in ("bits", "categories"):
            keys = [*keys, Key("space", "real", "whole numbers, taken as real ones")]
        return Seen(
            kind=kind, about=about, rows=self.n, keys=tuple(keys), labels=self.labels, **more
        )

    def _bits(self, keys: Sequence[Key]) -> Seen:
        about = f"{counted(self.n, 'event')} of {counted(math.prod(self.event), 'bit')}"
        space = Key("space", "binary", "all numbers are 0 or 1")
        return self._make("bits", about, [*keys, space])

    def _are_categories(self) -> bool:
        if not self.whole or self.low < 0 or self.high >= _MOST_VALUES or self.event == (1,):
            return False
        tops = self.rows.flatten(1).amax(0)
        return bool((tops >= self.high - 1).double().mean() >= 0.9)

    def _categories(self, keys: Sequence[Key]) -> Seen:
        k = int(self.high) + 1
        why = f"whole numbers from 0 to {k - 1}, in every place alike"
        space = Key("space", f"{{type: categorical, k: {k}}}", why)
        about = f"{counted(self.n, 'event')} of {math.prod(self.event)} categories out of {k}"
        decide = ("If the numbers are counts or levels rather than names, set space: real.",)
        return self._make("categories", about, [*keys, space], values=k, decide=decide)

    def _images(self, keys: Sequence[Key]) -> Seen:
        event, keys = self.event, list(keys)
        decide: tuple[str, ...] = ()
        if len(event) == 3 and event[0] not in (1, 3):
            if event[2] == 3:
                raise EbmError(
                    f"{self.path}: the images have their colours last, {event}; save them as "
                    "(n, colours, height, width): x.transpose(0, 3, 1, 2)"
                )
            if event[2] != 1:
                raise EbmError(
                    f"{self.path}: events of shape {event} should be images of 1 or 3 channels, "
                    "(n, channels, height, width)"
                )
        if len(event) == 1:
            side = math.isqrt(event[0])
            if side * side != event[0] or side < 4:
                return self._flat(keys)
            event = (1, side, side)
            keys.append(Key("shape", listed(event), f"rows of {side * side} bytes: images"))
        elif len(event) == 2 or event[0] not in (1, 3):
            height, width = (n for n in event if n != 1)
            if len(event) == 2 and self.dtype != "uint8":
                decide = (
                    f"Events of shape {self.event} are taken for images. If they are sequences, "
                    "(steps, channels), leave out shape.",
                )
            event = (1, height, width)
            keys.append(Key("shape", listed(event), "one channel"))
        outside = self.low < 0 or self.high > 1
        scale = "{type: min_max, per: event}"
        return self._make(
            "images",
            f"{counted(self.n, 'image')} of shape {'×'.join(map(str, event))}",
            keys,
            event=event,
            transforms=(scale,) if outside else (),
            why_transforms=f"levels from {self.low:g} to {self.high:g}; the recipe is for 0 to 1",
            decide=decide,
        )

    def _flat(self, keys: Sequence[Key]) -> Seen:
        width = self.event[0]
        rows = self.rows.double()
        keys = list(keys)
        constant = (rows == rows[:1]).all(0)
        if width > 3 and self._is_smooth(rows[:, ~constant]):
            return self._sequences(keys)
        if bool(constant.any()) and not bool(constant.all()) and len(rows) == self.n:
            columns = constant.nonzero().flatten().tolist()
            keys.append(Key("drop", listed(columns), "the same in every row"))
        if self.gaps:
            keys.append(Key("impute", "median", "numbers are missing"))
        left = width - int(constant.sum()) if len(rows) == self.n else width
        if not left:
            raise EbmError(f"{self.path}: every row is the same, so there is nothing to train on")
        about = f"{counted(self.n, 'row')} of {counted(left, 'number')}"
        return self._make(
            "points" if left <= 3 else "table",
            about,
            keys,
            event=(left,),
            transforms=("{type: standardise}",),
            why_transforms="the recipe is for numbers around 0 of sd 1",
        )

    def _is_smooth(self, rows: Tensor) -> bool:
        """Tell whether neighbouring columns go together, as steps of a sequence do."""
        if rows.shape[1] < _LEAST_STEPS or len(rows) < 10 or self.gaps:
            return False
        z = (rows - rows.mean(0)) / rows.std(0)
        near = (z[:, 1:] * z[:, :-1]).mean(0)
        spread = rows.std(0)
        alike = float(spread.max() / spread.min()) < 10
        return alike and float(near.median()) > _SMOOTH

    def _sequences(self, keys: Sequence[Key]) -> Seen:
        steps, channels = (*self.event, 1)[:2]
        if len(self.event) > 2:
            raise EbmError(
                f"{self.path}: sequences should have the shape (n, T, C) or (n, T); got "
                f"{(self.n, *self.event)}"
            )
        about = f"{counted(self.n, 'sequence')} of {counted(steps, 'step')}"
        about += f" of {channels} numbers" if channels > 1 else ""
        decide: tuple[str, ...] = ()
        if self.ragged:
            about = about.replace(" of ", " of up to ", 1)
        elif len(self.event) == 1:
            decide = (
                "Neighbouring columns go together, so the rows are taken for sequences. If they "
                "are columns of a table, begin with `--like anomaly`.",
            )
        per = "feature" if channels > 1 else "event"
        return self._make(
            "sequences",
            about,
            keys,
            transforms=(f"{{type: standardise, per: {per}}}",),
            why_transforms="one scale for all steps; the recipe is for numbers of sd 1",
            ragged=self.ragged,
            decide=decide,
        )
