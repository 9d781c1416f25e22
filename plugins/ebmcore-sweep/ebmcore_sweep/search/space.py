"""A search space over a config's dotted keys: what may be tried, and the values at its ends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ebmcore import PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution


class OutsideError(ValueError):
    """A value that a study holds and the space doesn't."""


@dataclass(frozen=True, kw_only=True)
class Float:
    """A real number in a range.

    Args:
        low: The least value.
        high: The greatest value.
        log: Whether the logarithm is what is spread evenly.
        step: The grid's width; by default there is no grid.
        when: Other keys of the space and the value, or the list of values, that they must have for
            this one to be set at all.
    """

    low: float
    high: float
    log: bool = False
    step: PositiveFloat | None = None
    when: dict[str, Any] | None = None

    def distribution(self) -> BaseDistribution:
        """Return Optuna's form of it. Raises ValueError when Optuna refuses the range."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def ends(self) -> tuple[Any, ...]:
        """Return the extreme values."""
        return (self.low, self.high)

    def size(self) -> float:
        """Return the number of values on the grid; 1 for a range without a grid."""
        return 1 if self.step is None else (self.high - self.low) / self.step + 1

    def holds(self, suggested: Any) -> bool:
        """Tell whether a value that a study recorded lies in the range."""
        return _is_number(suggested, float, int) and self.low <= suggested <= self.high

    def suggest(self, key: str, trial: Trial) -> Any:
        """Ask a trial for a value."""
        return trial.suggest_float(key, self.low, self.high, log=self.log, step=self.step)

    def value(self, suggested: Any) -> Any:
        """Return the config's value for a suggested one."""
        return suggested


@dataclass(frozen=True, kw_only=True)
class Int:
    """A whole number in a range, its ends included.

    Args:
        low: The least value.
        high: The greatest value.
        log: Whether the logarithm is what is spread evenly.
        step: The grid's width.
        when: Other keys of the space and the value, or the list of values, that they must have for
            this one to be set at all.
    """

    low: int
    high: int
    log: bool = False
    step: PositiveInt = 1
    when: dict[str, Any] | None = None

    def distribution(self) -> BaseDistribution:
        """Return Optuna's form of it. Raises ValueError when Optuna refuses the range."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def ends(self) -> tuple[Any, ...]:
        """Return the extreme values."""
        return (self.low, self.high)

    def size(self) -> float:
        """Return the number of values."""
        return (self.high - self.low) // self.step + 1

    def holds(self, suggested: Any) -> bool:
        """Tell whether a value that a study recorded lies in the range."""
        return _is_number(suggested, int) and self.low <= suggested <= self.high

    def suggest(self, key: str, trial: Trial) -> Any:
        """Ask a trial for a value."""
        return trial.suggest_int(key, self.low, self.high, log=self.log, step=self.step)

    def value(self, suggested: Any) -> Any:
        """Return the config's value for a suggested one."""
        return suggested


@dataclass(frozen=True, kw_only=True)
class Categorical:
    """One of several values, of any kind: numbers, words, or whole parts of a config.

    Args:
        choices: The values.
        when: Other keys of the space and the value, or the list of values, that they must have for
            this one to be set at all.
    """

    choices: list[Any]
    when: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if any(c in self.choices[:i] for i, c in enumerate(self.choices)):  # 1 is True, too
            raise ValueError("choices should differ from each other")

    def distribution(self) -> BaseDistribution:
        """Return Optuna's form of it; JSON text stands for a choice that is a list or a mapping.

        Raises ValueError when there is no choice.
        """
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([_label(choice) for choice in self.choices])

    def ends(self) -> tuple[Any, ...]:
        """Return all values."""
        return tuple(self.choices)

    def size(self) -> float:
        """Return the number of values."""
        return len(self.choices)

    def holds(self, suggested: Any) -> bool:
        """Tell whether a value that a study recorded is one of the choices."""
        return any(_same(_label(choice), suggested) for choice in self.choices)

    def suggest(self, key: str, trial: Trial) -> Any:
        """Ask a trial for a value, as Optuna knows it."""
        return trial.suggest_categorical(key, [_label(c) for c in self.choices])

    def value(self, suggested: Any) -> Any:
        """Return the config's value for a suggested label: the choice that it stands for."""
        return next(c for c in self.choices if _same(_label(c), suggested))


Range = Float | Int | Categorical
RANGES: dict[str, type[Range]] = {"float": Float, "int": Int, "categorical": Categorical}


@dataclass(frozen=True)
class Space:
    """Dotted keys, each with its range, in the order of the file."""

    ranges: Mapping[str, Range]

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's form of each range. Raises ValueError when Optuna refuses one."""
        return {key: range_.distribution() for key, range_ in self.ranges.items()}

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Ask a trial for the value of every key that applies to it.

        Raises OutsideError for a value outside the space, which a study may hold for a trial that
        was put into its queue.
        """
        found: dict[str, Any] = {}
        for key, range_ in self.ranges.items():
            if _applies(range_.when, found):
                suggested = range_.suggest(key, trial)
                if not range_.holds(suggested):
                    raise OutsideError(
                        f"{key} is {str(suggested)[:80]!r}, which is not in the space"
                    )
                found[key] = range_.value(suggested)
        return in_order(found)

    def of(self, suggested: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config's values of what Optuna has recorded of a trial."""
        there = {key: suggested[key] for key in self.ranges if key in suggested}
        return in_order({key: self.ranges[key].value(item) for key, item in there.items()})

    def examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield a key and the values of all keys, with each end of each range once."""
        for key, range_ in self.ranges.items():
            for end in range_.ends():
                yield key, self.example({**self._conditions(key), key: end})

    def example(self, fixed: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return values of all keys that apply, the first end of each that isn't fixed."""
        found: dict[str, Any] = {}
        for key, range_ in self.ranges.items():
            if _applies(range_.when, found):
                found[key] = fixed[key] if fixed and key in fixed else range_.ends()[0]
        return in_order(found)

    def _conditions(self, key: str) -> dict[str, Any]:
        """Return values of other keys with which this one applies."""
        found: dict[str, Any] = {}
        for other, wanted in (self.ranges[key].when or {}).items():
            found |= {**self._conditions(other), other: allowed(wanted)[0]}
        return found


def _is_number(value: Any, *types: type) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _same(label: Any, suggested: Any) -> bool:
    """Whether two labels are one; True is not 1 here."""
    return type(label) is type(suggested) and label == suggested


def in_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """Sort keys so that a part comes before the keys inside it, which are then set last."""
    return dict(sorted(values.items(), key=lambda item: item[0].count(".")))


def allowed(wanted: Any) -> Sequence[Any]:
    """Return the values that a condition names: one, or a list."""
    return wanted if isinstance(wanted, list) else [wanted]


def _applies(when: Mapping[str, Any] | None, found: Mapping[str, Any]) -> bool:
    return all(
        key in found and found[key] in allowed(wanted) for key, wanted in (when or {}).items()
    )


def _label(choice: Any) -> Any:
    plain = choice is None or isinstance(choice, bool | int | float | str)
    return choice if plain else json.dumps(choice)
