"""The checks of what chains remember: no memory shared, no chain twice, none left behind."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ebmcore import Chains, Start, start_chains
from ebmcore.sampling import as_chains
from ebmcore_testing.failures import require
from ebmcore_testing.measures import lattice
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.suites.suite import Suite

Event = tuple[float, ...]

_BATCH = 16
_ROUNDS = 12
_MARK = 1000  # what is added to ends that were handed over
_MANY = 2.0**40  # events of a space, so that two draws from it are hardly ever the same


class MemoryChecks(Suite):
    """Checks of chains over several batches."""

    kind = "chains"

    def chains(self, seed: int = 0, shape: tuple[int, ...] | None = None) -> Chains:
        """Build the chains, before their first start."""
        return as_chains(self.build(seed=seed, event_shape=shape))

    def batch(self, shape: tuple[int, ...] | None = None, **options: Any) -> Tensor:
        """Return a batch of data."""
        return self.events(_BATCH, shape or self.shapes()[0], seed=1, **options)

    def test_no_aliasing(self) -> None:
        """`start` returns and `keep` takes no memory of the data or of the kept chains."""
        x, chains = self.batch(), self.chains()
        data = x.clone()
        begin = start_chains(chains, x, generator=seeded(1)).x
        kept = events(chains.kept())
        begin += _MARK  # as a sampler that works in place would
        after = events(chains.kept())
        self._require_apart(torch.equal(x, data), "the batch of data")
        self._require_apart(same(kept, after), "the chains that are kept")
        ends = self.ends(x)
        chains.keep(Start(ends))
        kept = events(chains.kept())
        ends += _MARK
        self._require_apart(same(kept, events(chains.kept())), "the chains that are kept")

    def ends(self, x: Tensor, seed: int = 0) -> Tensor:
        """Draw events of the space, of the shape of x, where chains may have ended."""
        return lattice.draw(self.space(), tuple(x.shape), 100 + seed, x.dtype)

    def marking_shape(self) -> tuple[int, ...] | None:
        """Return a shape of which the space has so many events that draws of it differ."""
        for shape in (*self.shapes(), (40,), (6, 8, 8)):
            try:
                sizes = lattice.sizes(self.space(), shape)
                drawn = self.ends(self.events(2 * _BATCH, shape))
            except ValueError:  # a table's columns are its own
                continue
            if (sizes is None or math.prod(map(float, sizes)) >= _MANY) and not _twice(drawn):
                return shape
        return None

    def _require_apart(self, apart: bool, what: str) -> None:
        require(
            apart,
            "no_aliasing",
            expected=f"a change of the starting points or of the ends leaves {what} alone",
            measured=f"{what} changed with them",
            allowed="no memory in common",
            cause="a slice or a view of the buffer (buffer[:n]) where a copy is owed: .clone(), "
            "index_select or indexing by a tensor",
        )

    def test_no_repeats(self) -> None:
        """A batch holds no chain twice, and a chain goes on from where it ended, not from before.

        The ends are events of the space, each another, so that each can be known again. In a space
        of too few events there is nothing to tell chains apart by.
        """
        shape = self.marking_shape()
        if shape is None:
            return
        chains, generator = self.chains(shape=shape), seeded(2)
        current: set[Event] = set()
        marked: set[Event] = set()
        for i in range(_ROUNDS):
            x = self.events(_BATCH, shape, seed=20 + i)
            begin = start_chains(chains, x, generator=generator).x
            seen = [event for event in as_tuples(begin) if event in marked]
            twice = len(seen) - len(set(seen))
            stale = len(set(seen) - current)
            require(
                twice == 0 and stale == 0,
                "no_repeats",
                expected="distinct chains, each from where it ended the last time",
                measured=f"{twice} of a batch twice, {stale} from an end that was replaced",
                allowed="none",
                cause="randint for randperm, or chains written back to other slots than those that "
                "they were drawn from",
            )
            current -= set(seen)  # these go on: their old ends are no more
            begun, between = begin.clone(), events(chains.kept())
            ends = self.ends(x, i)
            chains.keep(Start(ends.clone()))
            current |= set(as_tuples(ends))
            marked |= current
            if i == 0:  # chains may all have begun at events of this one batch
                continue
            left = _left_behind(begun, between, events(chains.kept()))
            require(
                left == 0,
                "no_repeats",
                expected="a chain that went on stands where it ended, and nowhere else",
                measured=f"{left} of {_BATCH} are still kept where they began",
                allowed="none",
                cause="ends written to other slots than those that the chains were drawn from, "
                "such as buffer[:n] = x_end",
            )


def as_tuples(x: Tensor) -> list[Event]:
    """Return each event of a batch as a tuple of its numbers."""
    return [tuple(row) for row in x.flatten(1).tolist()]


def _twice(x: Tensor) -> bool:
    return len(set(as_tuples(x))) < len(x)


def _left_behind(begun: Tensor, before: Tensor | None, after: Tensor | None) -> int:
    """Count the chains that were kept once before they went on, and are still kept after."""
    if before is None or after is None:
        return 0
    times, still = (
        (begun.flatten(1)[:, None] == kept.flatten(1)[None]).all(2).sum(1)
        for kept in (before, after)
    )
    return int(((times == 1) & (still > 0)).sum())


def events(kept: Start | None) -> Tensor | None:
    """Return a copy of the events of kept chains."""
    return None if kept is None else kept.x.clone()


def same(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether both are the same chains, or none."""
    if a is None or b is None:
        return a is b
    return torch.equal(a, b)
