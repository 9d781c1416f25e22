"""A file of measurements, read: entries picked by their fields, medians with quartiles."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """A median and the quartiles about it."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Summarise; None when there is nothing."""
        found = list(values)
        if not found:
            return None
        if len(found) == 1:
            return cls(found[0], found[0], found[0])
        low, _, high = quantiles(found, n=4, method="inclusive")
        return cls(median(found), low, high)

    def text(self, factor: float = 1.0) -> str:
        """Write the median and, in brackets, the quartiles, three digits each."""
        middle, low, high = (digits(value * factor) for value in self)
        return f"{middle} ({low} to {high})"


def digits(value: float) -> str:
    """Write a number with three significant digits, and no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    places = 3 - whole if whole else 3
    return f"{value:.{places}f}"


class Results:
    """The entries of a file, in order."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.entries = entries

    @classmethod
    def read(cls, file: Path) -> Results:
        """Read one JSON object a line."""
        lines = file.read_text(encoding="utf-8").splitlines()
        return cls([json.loads(line) for line in lines])

    def where(self, **fields: Any) -> list[dict[str, Any]]:
        """Return the entries that have all these fields with these values."""
        return [
            entry for entry in self.entries if all(entry.get(k) == v for k, v in fields.items())
        ]

    def values(self, key: str, **fields: Any) -> list[float]:
        """Return one field of the entries that have it."""
        return [entry[key] for entry in self.where(**fields) if key in entry]

    def spread(self, key: str = "seconds", **fields: Any) -> Spread | None:
        """Summarise one field, over blocks unless another event is asked for."""
        return Spread.of(self.values(key, **{"event": "block", **fields}))

    def trouble(self, **fields: Any) -> str:
        """Say why a side has no number: not here, or what went wrong."""
        for entry in self.where(**fields):
            if "absent" in entry:
                return str(entry["absent"])
            if "failed" in entry:
                return f"failed: {entry['failed']}"
        return "not measured"

    def seen(self, key: str, **fields: Any) -> list[Any]:
        """Return the different values of a field, in their order in the file."""
        return list(dict.fromkeys(entry[key] for entry in self.where(**fields) if key in entry))
