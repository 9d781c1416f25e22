"""The transforms of a run's data, in order: fitted on the training rows, applied and undone.

    x' = T_k(... T_1(x)),    log p(x) = log p'(x') + sum of log |det dT_i/dx| over them

Those up to the first that draws map the data in memory once, a few rows at a time and, if they keep
their shape, in place; it and the rest map each batch anew.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore.data.mapped import Mapped, as_transform, transform_name
from ebmcore.data.mask import without_padding
from ebmcore.data.parts import empty_rows, row_slices
from ebmcore.errors import DataError, raised_at
from ebmcore.spaces import REAL, Real, Space, as_space, row_and_column

_NEAR = 1e-3  # of its size, how far an image may be from where its event is mapped


class TransformError(DataError):
    """A transform that doesn't fit the data, or does what it shouldn't; `index` is its place."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class Undone(NamedTuple):
    """Events taken back through transforms."""

    x: Tensor  # (n, *event)
    stopped_at: str  # the transform without an inverse whose units they have; empty: the data's


class Transforms:
    """Transforms in order; without any, the identity.

    Args:
        transforms: Each a `Transform` or a function of x.
        names: Their names in messages; by default their classes'.
        dtype: The float type of the run.
    """

    def __init__(
        self,
        transforms: Sequence[Any] = (),
        names: Sequence[str] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.parts = tuple(as_transform(one) for one in transforms)
        self.names = tuple(names or (transform_name(one) for one in transforms))
        self.dtype = dtype
        self.spaces: list[Space] = [REAL]  # of the data, and after each part
        self.shapes: list[tuple[int, ...]] = []  # of an event, likewise
        self.warnings: list[str] = []  # of `fit`

    @property
    def draws(self) -> bool:
        """Whether one of them needs a generator, so that each batch is mapped anew."""
        return any(part.draws for part in self.parts)

    @property
    def space(self) -> Space:
        """The space of the events that come out."""
        return self.spaces[-1]

    def fit(self, x: Tensor, space: Space, generator: Generator | None = None) -> Tensor:
        """Fit them on the training rows, (n, *event), in turn; return the rows that come out.

        A part after one that draws is fitted on one draw of it. Raises TransformError.
        """
        for mapped in self.through(x, generator, fit_in=space):  # noqa: B007
            pass
        return mapped

    def through(
        self,
        x: Tensor,
        generator: Generator | None = None,
        *,
        fit_in: Space | None = None,
        overwrite: bool = False,
        mask: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Take the training rows, (n, *event), through the parts; a few at a time where they can.

        Yields the rows before each part, and at last those that come out. Parts are fitted first if
        `fit_in` says the space of the rows. With `overwrite` the rows are mapped where they are,
        except those before the first part that draws, so that others hold until the next. A mask,
        (n, T), says which steps count; the others stay 0. Raises TransformError.
        """
        if fit_in is not None:
            self.spaces, self.shapes, self.warnings = [fit_in], [tuple(x.shape[1:])], []
        own = overwrite or x.dtype != self.dtype  # nobody else's rows
        x = x.to(self.dtype)
        for index, part in enumerate(self.parts):
            yield x
            if fit_in is not None:
                self._fit(index, x, mask)
            own = own and index != self.first_that_draws
            function = isinstance(part, Mapped)  # which may keep its result, or look at all rows
            if part.draws or function:
                mapped = self._apply(index, x, generator)
            else:
                mapped = self._apply_in_parts(index, x, x if own else None, mask)
            own = not function and (own or not _share_memory(mapped, x))
            x = mapped
        yield self._whole(x)

    def refuse_masks(self) -> None:
        """Raise TransformError at the first part that would take padding for data."""
        for index, part in enumerate(self.parts):
            if part.draws or "mask" not in inspect.signature(part.fit).parameters:
                raise TransformError(
                    index,
                    "the data have a mask, and this transform would take the padding for data; "
                    "standardise, min_max and robust_scale know masks, as does any whose `fit` "
                    "names `mask`. Or transform the sequences in the dataset itself",
                )

    def _fit(self, index: int, x: Tensor, mask: Tensor | None) -> None:
        part = self.parts[index]
        self._check_space(index, self.spaces[-1])
        with self._blame(index, "can't be fitted"), self._collecting_warnings(index):
            named = inspect.signature(part.fit).parameters
            slots = {"space": self.spaces[-1], "mask": mask}
            part.fit(x, **{name: value for name, value in slots.items() if name in named})
        self._follow(index)

    def __call__(
        self, x: Tensor, generator: Generator | None = None, *, mask: Tensor | None = None
    ) -> Tensor:
        """Map new events, (n, *event) -> (n, *event'); without a generator, without randomness.

        Augmentations leave them alone, and the steps that a mask, (n, T), doesn't count stay 0.
        """
        x = x.to(self.dtype)
        for index in range(len(self.parts)):
            x = self._apply(index, x, generator, mask=mask)
        return self._whole(x)

    def with_log_det(
        self, x: Tensor, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Map new events as a call does; return them and log |det| at each, (n,), in nats.

        None in its place when a part has none.
        """
        x = x.to(self.dtype)
        total: Tensor | None = x.new_zeros(len(x), dtype=torch.float64)
        for index in range(len(self.parts)):
            own = None if total is None else self._log_det(index, x)
            total = None if own is None or total is None else total + own
            x = self._apply(index, x, generator)
        return self._whole(x), total

    @property
    def first_that_draws(self) -> int:
        """The number of parts before the first that draws."""
        return next((i for i, part in enumerate(self.parts) if part.draws), len(self.parts))

    def before_draws(self, x: Tensor, *, check: bool = True, mask: Tensor | None = None) -> Tensor:
        """Map events by the parts before the first that draws; `check` refuses NaN and inf."""
        x = x.to(self.dtype)
        for index in range(self.first_that_draws):
            x = self._apply(index, x, None, training=not check, mask=mask)
        return x

    def draw(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Map a training batch that `before_draws` made, augmentations included."""
        for index in range(self.first_that_draws, len(self.parts)):
            x = self._apply(index, x, generator, training=True)
        return self._whole(x)

    def inverse(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Return events in the data's own units, as far as the parts have an inverse."""
        return self.undone(x, mask=mask).x

    def undone(self, x: Tensor, *, mask: Tensor | None = None) -> Undone:
        """Take events back, and say at which transform that ended; steps off a mask stay 0."""
        x = x.to(self.dtype)
        for index in reversed(range(len(self.parts))):
            try:
                x = without_padding(self.parts[index].inverse(x), mask)
            except NotImplementedError:
                if not self.parts[index].augments:  # its events are as the data's, or part of them
                    return Undone(self._whole(x, index + 1), self.names[index])
        return Undone(self._whole(x, 0), "")

    def preimage(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the events with these images, log |det| at each, and which are images at all.

        Shapes: x (n, *event') -> (n, *event), (n,) nats, (n,) bool. Raises NotImplementedError when
        a part has no inverse or no determinant.
        """
        total = x.new_zeros(len(x), dtype=torch.float64)
        held = torch.ones(len(x), dtype=torch.bool, device=x.device)
        for index in reversed(range(len(self.parts))):
            part, image = self.parts[index], x
            if part.augments and not self._cuts(index):
                continue
            x = part.inverse(image)
            total = total + part.log_abs_det(x).double()
            if part.draws and not part.augments:
                there = _inside(image, self.spaces[index + 1])
            else:
                there = (part(x) - image).abs() <= _NEAR * (1 + image.abs())
            held &= there.flatten(1).all(1)
        return x, total, held

    @property
    def without_log_det(self) -> str:
        """The name of the first part without log |det|; empty when all have one."""
        for index, name in enumerate(self.names):
            probe = torch.full((1, *self.shapes[index]), 0.5, dtype=self.dtype)
            if self._log_det(index, probe) is None:
                return name
        return ""

    def columns(self, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Return the names of the numbers of a flat event that comes out; None when unknown."""
        for index, part in enumerate(self.parts):
            if names is None:
                return None
            with self._blame(index, "can't name its columns"):
                given = part.columns(names)
            names = None if given is None else tuple(map(str, given))
            if names is not None and (len(names),) != self.shapes[index + 1]:
                names = None
        return names

    def state_dict(self) -> dict[str, Any]:
        """Return what was fitted, and the shape and the space of the data."""
        return {
            "event_shape": list(self.shapes[0]),
            "space": self.spaces[0].written(),
            "names": list(self.names),
            "parts": [dict(part.state_dict()) for part in self.parts],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore it. Raises ValueError when it is the state of other transforms."""
        if list(state["names"]) != list(self.names):
            had, has = (", ".join(names) or "none" for names in (state["names"], self.names))
            raise ValueError(f"the state is of the transforms {had}; here are {has}")
        self.spaces = [as_space(state["space"])]
        self.shapes = [tuple(map(int, state["event_shape"]))]
        for index, (part, own) in enumerate(zip(self.parts, state["parts"], strict=True)):
            part.load_state_dict(own)
            self._follow(index)

    def compare(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError when a state that a run saved isn't this one, to rounding."""
        if not _agree(self.state_dict(), dict(state)):
            raise ValueError(
                "the transforms were fitted on other training rows than these: the data, the split "
                "or a transform changed since"
            )

    def _follow(self, index: int) -> None:
        """Note the shape and the space after a part."""
        with self._blame(index, "can't say its shape or space"):
            self.shapes.append(tuple(self.parts[index].shape(self.shapes[index])))
            self.spaces.append(self.parts[index].space(self.spaces[index]))

    def _check_space(self, index: int, space: Space) -> None:
        given: Any = self.parts[index].spaces
        served = tuple(given) if isinstance(given, list | tuple) else (given,)
        if not isinstance(space, served):
            kinds = " and ".join(getattr(cls, "kind", "any") for cls in served)
            raise TransformError(
                index, f"takes {kinds} events, and those that it gets are {space.kind}"
            )

    def _apply(
        self,
        index: int,
        x: Tensor,
        generator: Generator | None,
        *,
        training: bool = False,
        first: int = 0,
        mask: Tensor | None = None,
    ) -> Tensor:
        part = self.parts[index]
        given = generator if part.draws and (training or not part.augments) else None
        with self._blame(index, "can't map the data"), torch.no_grad():
            mapped = part(x) if given is None else part(x, generator=given)
        wanted = (len(x), *self.shapes[index + 1])
        if not isinstance(mapped, Tensor) or mapped.shape != wanted or mapped.dtype != self.dtype:
            found = (
                f"{mapped.dtype} of shape {tuple(mapped.shape)}"
                if isinstance(mapped, Tensor)
                else type(mapped).__name__
            )
            raise TransformError(
                index,
                f"should give {self.dtype} of shape {wanted}, as its `shape` says; got {found}",
            )
        mapped = without_padding(mapped, mask)
        if not training:  # which would wait for the device at each step
            self._refuse_non_finite(index, mapped, first)
        return mapped

    def _apply_in_parts(
        self, index: int, x: Tensor, out: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        """Map rows a few at a time, into `out` if they keep their shape."""
        if self._cuts(index):
            out = None
        for rows in row_slices(x):
            own = None if mask is None else mask[rows]
            mapped = self._apply(index, x[rows], None, first=rows.start, mask=own)
            if len(mapped) == len(x):
                return mapped
            out = empty_rows(len(x), mapped) if out is None else out
            out[rows] = mapped
        return self._apply(index, x, None) if out is None else out  # there may be no rows

    def _refuse_non_finite(self, index: int, mapped: Tensor, first: int) -> None:
        for rows in row_slices(mapped):
            bad = ~mapped[rows].isfinite()
            if bad.any():
                row, *rest = map(int, bad.nonzero()[0])
                place = row_and_column((first + rows.start + row, *rest))
                raise TransformError(index, f"makes NaN or inf of {place}")

    def _log_det(self, index: int, x: Tensor) -> Tensor | None:
        if self.parts[index].augments and not self._cuts(index):
            return x.new_zeros(len(x), dtype=torch.float64)
        try:
            with self._blame(index, "can't compute log |det|"):
                return self.parts[index].log_abs_det(x).double()
        except NotImplementedError:
            return None

    def _cuts(self, index: int) -> bool:
        return self.shapes[index + 1] != self.shapes[index]

    def _whole(self, x: Tensor, after: int | None = None) -> Tensor:
        """Return events in the type of their space: whole numbers, if it is of those."""
        space = self.spaces[-1 if after is None else after]
        dtype = space.dtype_in(self.dtype)
        return x if dtype == x.dtype else x.round().to(dtype)

    @contextmanager
    def _blame(self, index: int, why: str) -> Iterator[None]:
        try:
            yield
        except (TransformError, NotImplementedError):
            raise
        except (ValueError, TypeError, DataError) as error:
            raise TransformError(index, str(error)) from error
        except Exception as error:
            what = f"{type(error).__name__}: {error} ({raised_at(error)})"
            raise TransformError(index, f"{why}: {what}") from error

    @contextmanager
    def _collecting_warnings(self, index: int) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        self.warnings.extend(f"transform {self.names[index]}: {one.message}" for one in caught)


def _share_memory(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _inside(x: Tensor, space: Space) -> Tensor:
    """Tell which numbers lie in a space, all of them where it has no bounds."""
    if not isinstance(space, Real):
        return torch.ones_like(x, dtype=torch.bool)
    low = -torch.inf if space.low is None else space.low
    high = torch.inf if space.high is None else space.high
    return (x >= low) & (x <= high)


def _agree(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        same = a.shape == b.shape and a.dtype == b.dtype
        return same and torch.allclose(a.double(), b.double().to(a.device), 1e-5, 1e-8, True)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_agree(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_agree, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-8)
    return type(a) is type(b) and bool(a == b)
