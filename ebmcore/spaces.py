"""Event spaces: the set that one data point lives in.

    Real(low, high)   numbers, in the run's dtype
    Binary()          0 and 1, in the run's dtype
    Categorical(k)    whole numbers from 0 to k - 1, as int64
    Mixed(columns)    a table's rows, in the run's dtype: each column has a space of its own

A dataset declares its `space`. A kernel, a loss, a monitor or an energy lists in `spaces` the
classes of those that it serves, such as `(Real,)`, so that a run can refuse parts that don't fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor


class Space:
    """The set of all events of a run."""

    kind: ClassVar[str]  # as configs write it

    def dtype_in(self, dtype: torch.dtype) -> torch.dtype:
        """Return the type of events in a run whose floats are of `dtype`."""
        return dtype

    def sizes(self, event_shape: Sequence[int]) -> tuple[int, ...] | None:
        """Return how many values each number of an event takes; None when any has infinitely many.

        There are prod(sizes) events.
        """
        return None

    def sample(
        self,
        shape: Sequence[int],
        generator: Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Draw events uniformly; a real space without both bounds is normal noise, clamped to one.

        Shapes: -> shape, (n, *event), in the space's type for floats of `dtype`, by default torch's
        own; on `device`, by default the generator's.
        """
        import torch

        there = device if generator is None or str(device) == "meta" else generator.device
        dtype = dtype or torch.get_default_dtype()
        return self._draw(tuple(shape), generator, there, dtype).to(device)

    def _draw(
        self, shape: tuple[int, ...], generator: Generator | None, device: Any, dtype: torch.dtype
    ) -> Tensor:
        raise NotImplementedError

    def check(self, x: Tensor) -> None:
        """Raise ValueError that names the first number of x, (n, *event), outside of the space."""
        import torch

        if x.is_meta or not x.numel():
            return
        outside = ~self._holds(x)
        if outside.any():
            index = tuple(int(i) for i in outside.nonzero()[0])
            value = x[index].item()
            raise ValueError(
                f"{row_and_column(index)} is {value:g}, but {self._wanted(index)}; "
                f"of {x.numel()} numbers {int(torch.count_nonzero(outside))} are outside"
            )

    def _holds(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _wanted(self, index: tuple[int, ...]) -> str:
        raise NotImplementedError

    def written(self) -> Any:
        """Return the space as a config writes it: `as_space` reads it again."""
        return self.kind


@dataclass(frozen=True)
class Real(Space):
    """Real numbers, between `low` and `high` where these are given."""

    kind: ClassVar[str] = "real"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if bound is None:
                continue
            if isinstance(bound, bool) or not isinstance(bound, int | float):
                raise ValueError(f"{name} should be a number; got {bound!r}")
            if not math.isfinite(bound):
                raise ValueError(f"{name} should be finite; got {bound}")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low should be below high; got {self.low} and {self.high}")

    def _draw(
        self, shape: tuple[int, ...], generator: Generator | None, device: Any, dtype: torch.dtype
    ) -> Tensor:
        import torch

        if self.low is not None and self.high is not None:
            unit = torch.rand(shape, generator=generator, device=device, dtype=dtype)
            return self.low + (self.high - self.low) * unit
        noise = torch.randn(shape, generator=generator, device=device, dtype=dtype)
        return noise if self.low is self.high else noise.clamp(self.low, self.high)

    def _holds(self, x: Tensor) -> Tensor:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return (x >= low) & (x <= high)

    def _wanted(self, index: tuple[int, ...]) -> str:
        return f"events are {self}"

    def __str__(self) -> str:
        ends = {"from": self.low, "to": self.high}
        given = [f"{word} {bound:g}" for word, bound in ends.items() if bound is not None]
        return " ".join([self.kind, *given])

    def written(self) -> Any:
        """Return `real`, or a mapping with the bounds."""
        bounds = {"low": self.low, "high": self.high}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        return {"type": self.kind, **given} if given else self.kind


REAL = Real()  # the space of data that declare none


@dataclass(frozen=True)
class Binary(Space):
    """Bits: 0 and 1, in the run's float dtype."""

    kind: ClassVar[str] = "binary"

    def sizes(self, event_shape: Sequence[int]) -> tuple[int, ...]:
        """Return 2 for each bit."""
        return (2,) * math.prod(event_shape)

    def _draw(
        self, shape: tuple[int, ...], generator: Generator | None, device: Any, dtype: torch.dtype
    ) -> Tensor:
        import torch

        return torch.randint(2, shape, generator=generator, device=device, dtype=dtype)

    def _holds(self, x: Tensor) -> Tensor:
        return (x == 0) | (x == 1)

    def _wanted(self, index: tuple[int, ...]) -> str:
        return "binary events hold 0 and 1 alone"

    def __str__(self) -> str:
        return self.kind


@dataclass(frozen=True)
class Categorical(Space):
    """Categories: whole numbers from 0 to k - 1, as int64."""

    kind: ClassVar[str] = "categorical"
    k: int

    def __post_init__(self) -> None:
        if isinstance(self.k, bool) or not isinstance(self.k, int) or self.k < 2:
            raise ValueError(f"k, the number of categories, should be at least 2; got {self.k!r}")

    def dtype_in(self, dtype: torch.dtype) -> torch.dtype:
        """Return int64."""
        import torch

        return torch.int64

    def sizes(self, event_shape: Sequence[int]) -> tuple[int, ...]:
        """Return k for each number."""
        return (self.k,) * math.prod(event_shape)

    def one_hot(self, x: Tensor, event_shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return the events one-hot, (batch, *event, k) in `dtype`.

        An energy that calls this takes events as whole numbers, (batch, *event), and one-hot as
        floats, in which samplers and losses differentiate it. Raises ValueError for another shape.
        """
        import torch

        shape = (*event_shape, self.k) if x.is_floating_point() else tuple(event_shape)
        if tuple(x.shape[1:]) != shape:
            raise ValueError(f"events should have shape {shape}; got {tuple(x.shape[1:])}")
        if not x.is_floating_point():
            x = x.unsqueeze(-1) == torch.arange(self.k, device=x.device)
        return x.to(dtype)

    def _draw(
        self, shape: tuple[int, ...], generator: Generator | None, device: Any, dtype: torch.dtype
    ) -> Tensor:
        import torch

        return torch.randint(self.k, shape, generator=generator, device=device)

    def _holds(self, x: Tensor) -> Tensor:
        whole = x == x.round() if x.is_floating_point() else x == x
        return whole & (x >= 0) & (x < self.k)

    def _wanted(self, index: tuple[int, ...]) -> str:
        return f"categorical events with k = {self.k} hold whole numbers from 0 to {self.k - 1}"

    def __str__(self) -> str:
        return f"{self.kind} (k = {self.k})"

    def written(self) -> Any:
        """Return a mapping with k."""
        return {"type": self.kind, "k": self.k}


@dataclass(frozen=True)
class Mixed(Space):
    """Rows of a table, (columns,): each column in a space of its own, all in the run's dtype."""

    kind: ClassVar[str] = "mixed"
    columns: tuple[Space, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if not self.columns:
            raise ValueError("columns should list the space of each column; it is empty")
        for column in self.columns:
            if not isinstance(column, Space) or isinstance(column, Mixed):
                raise ValueError(f"a column should be real, binary or categorical; got {column!r}")

    def sizes(self, event_shape: Sequence[int]) -> tuple[int, ...] | None:
        """Return how many values each column takes; None when one is real."""
        sizes = [column.sizes(()) for column in self.columns]
        return None if None in sizes else tuple(size for (size,) in filter(None, sizes))

    def _draw(
        self, shape: tuple[int, ...], generator: Generator | None, device: Any, dtype: torch.dtype
    ) -> Tensor:
        import torch

        self._refuse_shape(shape)
        drawn = [c._draw(shape[:-1], generator, device, dtype) for c in self.columns]
        return torch.stack([column.to(dtype) for column in drawn], -1)

    def check(self, x: Tensor) -> None:
        """Raise ValueError when x is not (n, columns), or a number is outside of its column."""
        self._refuse_shape(x.shape)
        super().check(x)

    def _refuse_shape(self, shape: Sequence[int]) -> None:
        if tuple(shape)[1:] != (len(self.columns),):
            raise ValueError(
                f"mixed events have {len(self.columns)} columns, shape (n, {len(self.columns)}); "
                f"got {tuple(shape)}"
            )

    def _holds(self, x: Tensor) -> Tensor:
        import torch

        held = [column._holds(x[:, i]) for i, column in enumerate(self.columns)]
        return torch.stack(held, -1)

    def _wanted(self, index: tuple[int, ...]) -> str:
        return self.columns[index[1]]._wanted(index)

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(map(str, self.columns))})"

    def written(self) -> Any:
        """Return a mapping with the columns."""
        return {"type": self.kind, "columns": [column.written() for column in self.columns]}


_KEYS: dict[type[Space], tuple[str, ...]] = {
    Real: ("low", "high"),
    Binary: (),
    Categorical: ("k",),
    Mixed: ("columns",),
}
_NAMED: dict[str, type[Space]] = {cls.kind: cls for cls in _KEYS}
_WAYS = "real, binary, {type: categorical, k: 5} or {mixed: [real, binary]}"


def as_space(given: Any) -> Space:
    """Read a space as a config writes it; return a `Space` unchanged. Raises ValueError.

    `binary`, `{type: real, low: 0, high: 1}`, `{type: categorical, k: 5}`, and
    `{mixed: [binary, real]}` or `{type: mixed, columns: [binary, real]}`.
    """
    if isinstance(given, Space):
        return given
    keys = {"type": given} if isinstance(given, str) else given
    if not isinstance(keys, Mapping):
        raise ValueError(f"should be {_WAYS}; got {given!r}")
    if set(keys) == {Mixed.kind}:
        keys = {"type": Mixed.kind, "columns": keys[Mixed.kind]}
    cls = _NAMED.get(str(keys.get("type")))
    if cls is None:
        raise ValueError(f"should be {_WAYS}; got {given!r}")
    own = {name: value for name, value in keys.items() if name != "type"}
    if strange := sorted(set(own) - set(_KEYS[cls])):
        known = ", ".join(_KEYS[cls]) or "no key but its type"
        raise ValueError(f"a {cls.kind} space has no key {strange[0]!r}; it has {known}")
    if cls is Mixed:
        columns = own.get("columns")
        if not isinstance(columns, list | tuple):
            raise ValueError(f"columns should list the space of each column; got {columns!r}")
        own = {"columns": tuple(as_space(column) for column in columns)}
    if cls is Categorical and "k" not in own:
        raise ValueError("a categorical space needs k, the number of categories")
    return cls(**own)


def row_and_column(index: tuple[int, ...]) -> str:
    """Name the row and column of a number."""
    row, *rest = index
    if len(rest) > 1:
        return f"row {row}, element {rest} (counted from 0)"
    return f"row {row}" + (f", column {rest[0]}" if rest else "") + " (counted from 0)"
