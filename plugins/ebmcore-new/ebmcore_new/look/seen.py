"""Facts about data, as a look at them finds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["table", "points", "images", "sequences", "bits", "categories"]


class Key(NamedTuple):
    """A key of `data`, its value as YAML, and why it is there; an empty reason needs none."""

    name: str
    value: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Data, as a recipe needs to know them.

    Attributes:
        kind: Which recipes fit; points are rows of one to three numbers.
        about: What they are, in a sentence for the config's head.
        rows: How many events there are.
        event: The shape of one, as the config's keys read it.
        keys: Those of `data` beside holdout and transform.
        transforms: The entries of data.transform, as YAML, and why.
        labels: How many classes the labels have; None without labels.
        values: For categories, how many there are.
        ragged: Whether sequences differ in length.
        decide: What the user should look at: choices that the data alone can't make.
    """

    kind: Kind
    about: str
    rows: int
    event: tuple[int, ...]
    keys: tuple[Key, ...]
    transforms: tuple[str, ...] = ()
    why_transforms: str = ""
    labels: int | None = None
    values: int = 2
    ragged: bool = False
    decide: tuple[str, ...] = field(default=())

    @property
    def holdout(self) -> float:
        """The share of rows to hold out: 0.2, less of many."""
        return 0.2 if self.rows <= 20_000 else 0.1

    @property
    def training_rows(self) -> int:
        """About how many rows are trained on."""
        return self.rows - round(self.rows * self.holdout)

    def batch(self, most: int) -> int:
        """Return a batch size of at most so many events that the training rows fill."""
        return max(1, min(most, self.training_rows // 2))
