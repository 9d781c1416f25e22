"""The suite of datasets: points that can be trained on, the same for the same seed, and their law.

What is only known of some is checked where it is there: `log_prob(x)` (in 1 and 2 dimensions, by
quadrature), `entropy`, `bounds`. Quadrature is the midpoint rule in 4000 cells, or 400 times 400:
of the `bounds`, if the dataset states them, or else of the data's range and a margin. A density
that jumps has the right mass there if it states its bounds and jumps between cells alone. Of a
finite event space, its `space` or `check_space`, all events are summed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ebmcore import RowsInParts
from ebmcore.config import Loader
from ebmcore.data import Data, load_data, stream_data
from ebmcore.train import own_global_stream
from ebmcore_testing.failures import CheckFailed, NotApplicable, require
from ebmcore_testing.measures import lattice
from ebmcore_testing.measures.observed import seeded, streams_untouched
from ebmcore_testing.measures.statistics import LEVEL, Z
from ebmcore_testing.suites.suite import Suite

_CPU = torch.device("cpu")
_CELLS = {1: 4000, 2: 400}  # in each dimension
_MARGIN = 0.5  # of the data's range, on each side of it
_MASS = 1e-3


class DatasetSuite(Suite):
    """The checks of a dataset."""

    kind = "dataset"

    def data(self, seed: int = 0, *, dtype: torch.dtype = torch.float64) -> Data:
        """Build the dataset and read it, as a run does."""
        with own_global_stream(seed, _CPU):
            source = self.build(seed=seed, dtype=dtype)
            return load_data(source, holdout=0.0, generator=seeded(0), dtype=dtype)

    def test_shape(self) -> None:
        """Points (n, *event), finite, with a label for each if there are any, and their range."""
        data = self.data()
        shape = (2, *data.event_shape)
        require(
            len(data.x) > 1 and tuple(data.bounds.shape) == shape,
            "shape",
            expected=f"at least two points, and bounds of shape {shape}",
            measured=f"points of shape {tuple(data.x.shape)}, bounds {tuple(data.bounds.shape)}",
            allowed="that",
            cause="bounds that are (2,), for all of an event alike",
        )
        low, high = data.bounds.amin(), data.bounds.amax()
        require(
            bool((data.x >= low).all() & (data.x <= high).all()),
            "shape",
            expected=f"points between the bounds, {float(low):.4g} and {float(high):.4g}",
            measured=f"from {float(data.x.min()):.4g} to {float(data.x.max()):.4g}",
            allowed="none outside",
            cause="bounds of the data before they were scaled",
        )

        space = self._space_of(data)
        if space is None:
            return
        try:
            space.check(data.x)
        except ValueError as error:
            raise CheckFailed(
                "shape",
                expected=f"events of the space {space}",
                measured=str(error),
                allowed="none outside",
                cause="noise that was added, a scaling, or a missing value written as -1",
            ) from error

    def test_deterministic(self) -> None:
        """The same seed gives the same points, bit for bit."""
        first, second = self.data(3), self.data(3)
        same = torch.equal(first.x, second.x)
        if first.y is not None and second.y is not None:
            same = same and torch.equal(first.y, second.y)
        require(
            same,
            "deterministic",
            expected="the same points and labels when built twice from one seed",
            measured="they differ",
            allowed="no difference",
            cause="numpy's global stream, a set's or a folder's order, or a clock",
        )

    def test_global_stream_untouched(self) -> None:
        """Random points come from the generator that it was given."""
        with streams_untouched("global_stream_untouched"):
            source = self.build(aside=False)
            if callable(source) and not isinstance(source, Tensor):
                source()

    def test_in_parts(self) -> None:
        """Rows that `read_in_parts` gives, in order or by number, are those of a call."""
        found = self.data()
        if not hasattr(found.source, "read_in_parts"):
            raise NotApplicable("it has no read_in_parts")
        with own_global_stream(0, _CPU):
            call: Any = self.build().__call__
            called = load_data(
                call, holdout=0.0, generator=seeded(0), dtype=torch.float64, space=found.space
            )
        require(
            torch.equal(found.x, called.x),
            "in_parts",
            expected="the same points from read_in_parts and from a call",
            measured="they differ",
            allowed="no difference",
            cause="a scaling or a choice of rows that only one of them makes",
        )
        if not isinstance(self.build().read_in_parts(), RowsInParts):
            return  # all of them are in memory
        with own_global_stream(0, _CPU):
            streamed = stream_data(
                self.build(), loader=Loader(seen=len(called.x)), seed=0, holdout=0.0,
                generator=seeded(0), dtype=torch.float64, space=found.space,
            )  # fmt: skip
        require(
            torch.equal(streamed.x, called.x),
            "in_parts",
            expected="the same points from `at` and from slices",
            measured="they differ",
            allowed="no difference",
            cause="rows in the order of the file, where `at` gives them in the order asked for",
        )

    def test_normalised(self) -> None:
        """log_prob integrates to 1 over the bounds, or else the data's range and a margin."""
        data = self.data()
        grid, cell = self._grid(data)
        mass = float(_log_prob(data)(grid).exp().sum()) * cell
        require(
            abs(mass - 1) <= _MASS,
            "normalised",
            expected="a density that integrates to 1",
            measured=f"{mass:.5f}",
            allowed=f"1 within {_MASS:g}",
            cause="the normalising constant left out, or its power of the dimension wrong",
        )

    def test_law_of_points(self) -> None:
        """The points' mean log_prob is that of draws of the density: minus its entropy.

        Level: rejects what is right once in a million times.
        """
        data = self.data()
        log_prob = _log_prob(data)
        grid, cell = self._grid(data)
        log_p = log_prob(grid)
        p = log_p.exp()
        log_p = torch.where(p > 0, log_p, 0.0)  # 0 log 0 = 0
        entropy = -float((p * log_p).sum()) * cell
        variance = float((p * log_p.square()).sum()) * cell - entropy**2
        found = -float(log_prob(data.x).mean())
        error = math.sqrt(max(variance, 0.0) / len(data.x)) + 1e-4
        require(
            abs(found - entropy) <= Z * error,
            "law_of_points",
            expected=f"a mean -log_prob of the points equal to the entropy, {entropy:.4f} nats",
            measured=f"{found:.4f}, {abs(found - entropy) / error:.1f} standard errors away",
            allowed=f"{Z:.1f} (level {LEVEL:g})",
            cause="log_prob of another law than the points are drawn from: a std for a variance, "
            "or weights that the draws don't follow",
        )
        known = getattr(data.source, "entropy", None)
        require(
            known is None or abs(known - entropy) <= 0.01,
            "law_of_points",
            expected=f"`entropy` as the density has it, {entropy:.4f} nats",
            measured=f"{known}",
            allowed="0.01 nats",
            cause="an entropy in bits, or of one dimension",
        )

    def _space_of(self, data: Data) -> Any:
        """Return `check_space`, or the space that the dataset declares, or None."""
        space = self.space() or getattr(data.source, "space", None)
        return space if hasattr(space, "sizes") else None

    def _grid(self, data: Data) -> tuple[Tensor, float]:
        """Return the events (m, *event) to sum a density over, and the volume of each."""
        space = self._space_of(data)
        if lattice.sizes(space, data.event_shape) is None:
            return _quadrature(data)
        if not lattice.few(space, data.event_shape):
            raise NotApplicable("its event space has too many events to enumerate them")
        return lattice.AllEvents(space, data.event_shape).x, 1.0


def _log_prob(data: Data) -> Callable[[Tensor], Tensor]:
    known: Any = getattr(data.source, "log_prob", None)
    if not callable(known):
        raise NotApplicable("it has no log_prob")
    return known  # type: ignore[no-any-return] # a stranger's


def _quadrature(data: Data) -> tuple[Tensor, float]:
    """Return the middles (m, *event) of cells that fill a box, and the volume of each cell."""
    size = data.x[0].numel()
    if size not in _CELLS:
        raise NotApplicable(f"an event has {size} numbers; quadrature takes 1 or 2")
    count = _CELLS[size]
    low, high = _box(data)
    widths = (high - low) / count
    middles = torch.arange(count, dtype=torch.float64) + 0.5
    axes = [a + width * middles for a, width in zip(low.tolist(), widths.tolist(), strict=True)]
    return torch.cartesian_prod(*axes).reshape(-1, *data.event_shape), float(widths.prod())


def _box(data: Data) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest corner of what holds the density, (dimensions,) each."""
    if getattr(data.source, "bounds", None) is not None:
        return data.bounds[0].flatten().double(), data.bounds[1].flatten().double()
    low, high = data.x.flatten(1).amin(0).double(), data.x.flatten(1).amax(0).double()
    margin = _MARGIN * (high - low)
    return low - margin, high + margin
