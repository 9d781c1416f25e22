"""The checks of what chains remember: no memory shared, no chain twice, none left behind."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ebmcore import Chains, Start, start_chains
from ebmcore.sampling import as_chains
from ebmcore_testing.failures import require
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.suites.suite import Suite

_BATCH = 16
_ROUNDS = 12
_MARK = 1000.0  # ends of chains that no draw of ours reaches


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
        ends = x + 1
        chains.keep(Start(ends))
        kept = events(chains.kept())
        ends += _MARK
        self._require_apart(same(kept, events(chains.kept())), "the chains that are kept")

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

        The ends are numbered, so that each can be known again.
        """
        chains, generator = self.chains(), seeded(2)
        current: set[float] = set()
        number = _MARK
        for i in range(_ROUNDS):
            x = self.events(_BATCH, self.shapes()[0], seed=20 + i)
            begin = start_chains(chains, x, generator=generator).x
            seen = [float(v) for v in begin.flatten(1)[:, 0] if float(v) >= _MARK]
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
            numbers = number + torch.arange(_BATCH, dtype=x.dtype)
            chains.keep(Start(numbers.view(-1, *(1 for _ in x.shape[1:])).expand_as(x).clone()))
            current |= {float(v) for v in numbers}
            number += _BATCH
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
