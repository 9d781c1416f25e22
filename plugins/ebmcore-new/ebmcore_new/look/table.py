"""Looks at a table: which columns are numbers of an event, and which labels, names or counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ebmcore_datasets.survey import ColumnFacts, survey_table

from ebmcore.errors import EbmError
from ebmcore_new.look.seen import Key, Seen
from ebmcore_new.look.words import counted, scalar, several

_ID = re.compile(r"(.*[_\W])?(id|uuid|guid|key|name|no|nr|number)", re.IGNORECASE)
_MISSING = 0.5  # share of a column's cells above which it is left out
_SQUEEZED = 3.0  # sd over the middle half's, above which far values set the sd
_RARE = 0.2  # share below which one of two labels may mark anomalies


class _Roles:
    """The columns as they are decided, one after the other."""

    def __init__(self, columns: Sequence[ColumnFacts]) -> None:
        self.all = columns
        self.events: list[ColumnFacts] = []
        self.label: ColumnFacts | None = None
        self.id: ColumnFacts | None = None
        self.index: ColumnFacts | None = None
        self.drop: list[tuple[ColumnFacts, str]] = []
        self.decide: list[str] = []
        for column in columns:
            self.add(column)

    def add(self, column: ColumnFacts) -> None:
        name, several_columns = called(column), len(self.all) > 1
        if column.missing == column.rows:
            self.drop.append((column, f"{name} is empty"))
        elif column.distinct == 1 and not column.missing:
            self.drop.append((column, f"{name} is the same in every row"))
        elif column.kind == "other":
            self.drop.append((column, f"{name} holds dates or values that aren't numbers"))
        elif column.kind == "text":
            self._text(column, name)
        elif self.id is None and several_columns and _is_id(column):
            self.id = column
        elif several_columns and (column.unnamed or (column.counts and column.rows > 2)):
            self._index(column, name)
        elif column.label_name and _is_label(column):
            self._label(column, name)
        elif column.missing > _MISSING * column.rows:
            share = f"{column.missing / column.rows:.0%}"
            self.drop.append((column, f"{share} of {name} is missing"))
        else:
            self.events.append(column)

    def _text(self, column: ColumnFacts, name: str) -> None:
        if column.distinct == column.rows - column.missing and self.id is None and column.rows > 2:
            self.id = column
        elif column.label_name and column.values:
            self._label(column, name)
        else:
            self.drop.append((column, f"{name} holds text"))
            if column.values:
                self.decide.append(
                    f"{name} holds {column.distinct} different texts and is left out. To train on "
                    f"it, take it out of drop, and write categories: [{key_of(column)}] and "
                    "{type: one_hot} as the first transform."
                )

    def _index(self, column: ColumnFacts, name: str) -> None:
        if self.index is None:
            self.index = column
        else:
            self.drop.append((column, f"{name} counts the rows"))

    def _label(self, column: ColumnFacts, name: str) -> None:
        if self.label is None:
            self.label = column
        else:
            self.drop.append((column, f"{name} may be a label, too"))


def look_at_table(path: Path, ending: str) -> Seen:
    """Look at a .csv, .tsv or .parquet file. Raises EbmError when no column can be trained on."""
    columns = survey_table(path.expanduser(), ending)
    roles = _Roles(columns)
    rows = columns[0].rows
    if not roles.events:
        why = "; ".join(reason for _, reason in roles.drop) or "all name, count or label the rows"
        raise EbmError(f"{path}: no column of numbers is left to train on: {why}")
    events = roles.events
    about = f"{counted(rows, 'row')} of {counted(len(events), 'column')} of numbers"
    if roles.label is not None:
        about += f", with the label {key_of(roles.label)}"
    keys = [Key("type", "file"), Key("path", scalar(str(path))), *_keys(roles)]
    if all(column.whole for column in events):
        keys.append(Key("space", "real", "all numbers are whole; they are taken as real ones"))
    transform, why = _transform(events)
    return Seen(
        kind="points" if len(events) <= 3 else "table",
        about=about,
        rows=rows,
        event=(len(events),),
        keys=tuple(keys),
        transforms=(transform,),
        why_transforms=why,
        labels=None if roles.label is None else roles.label.distinct,
        decide=(*roles.decide, *_of_labels(roles.label)),
    )


def _keys(roles: _Roles) -> list[Key]:
    keys = []
    if roles.index is not None:
        found = roles.index
        why = "has no name" if found.unnamed else "counts the rows"
        keys.append(Key("index", key_of(found), f"{called(found)} {why}"))
    if roles.id is not None:
        why = f"{called(roles.id)} is another in every row; it comes back beside the scores"
        keys.append(Key("id", key_of(roles.id), why))
    if roles.label is not None:
        found = roles.label
        held = several([_shown(v) for v in found.values], 5) or "classes"
        why = f"{called(found)} holds {held}; it is no part of a row's energy"
        keys.append(Key("label", key_of(found), why))
    if roles.drop:
        # a list in YAML needs each name as a key takes it
        names = f"[{', '.join(key_of(column) for column, _ in roles.drop)}]"
        keys.append(Key("drop", names, "; ".join(reason for _, reason in roles.drop)))
    gaps = [column for column in roles.events if column.missing]
    if gaps:
        where = several([f"{called(column)} ({column.missing:,})" for column in gaps])
        keys.append(Key("impute", "median", f"cells are missing in {where}"))
    return keys


def _transform(events: Sequence[ColumnFacts]) -> tuple[str, str]:
    far = [c for c in events if c.middle > 0 and c.sd > _SQUEEZED * c.middle]
    if far:
        worst = max(far, key=lambda c: c.sd / c.middle)
        return "{type: rank_gaussian}", (
            f"{several([called(c) for c in far])} {'has' if len(far) == 1 else 'have'} a few far "
            f"values: the sd of {called(worst)}, {worst.sd:.3g}, is {worst.sd / worst.middle:.0f} "
            "times what its middle half suggests. Ranks keep them from squeezing all others "
            "together, as standardise would"
        )
    spreads = sorted(c.sd for c in events if c.sd > 0)
    if len(spreads) < 2:
        return "{type: standardise}", "the recipe is for numbers around 0 of sd 1"
    return "{type: standardise}", (
        f"the columns' standard deviations are between {spreads[0]:.3g} and {spreads[-1]:.3g}; the "
        "recipe is for 1"
    )


def _of_labels(label: ColumnFacts | None) -> list[str]:
    if label is None or label.distinct != 2:
        return []
    if label.kind == "numbers" and set(label.values) == {0.0, 1.0}:
        rare = min(label.mean, 1 - label.mean)
        if rare < _RARE:
            mark = int(label.mean < 0.5)
            return [
                f"{rare:.1%} of the rows have the label {mark}. If these are anomalies, train on a "
                "file of the others alone; `ebmcore evaluate RUN_DIR --against LABELLED --label "
                f"{key_of(label)}` then says how well the energy tells them apart."
            ]
    return []


def called(column: ColumnFacts) -> str:
    """Name a column in a sentence."""
    return column.name if column.name else f"column {column.number}"


def key_of(column: ColumnFacts) -> str:
    """Return a column as a key of a config takes it: its name, or its number from 0."""
    return scalar(column.name) if column.name else str(column.number)


def _is_id(column: ColumnFacts) -> bool:
    named = _ID.fullmatch(column.name) is not None
    return named and column.whole and column.counts and not column.missing


def _is_label(column: ColumnFacts) -> bool:
    few = [value for value in column.values if isinstance(value, float)]
    return bool(few) and (len(few) <= 2 or all(value.is_integer() for value in few))


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
