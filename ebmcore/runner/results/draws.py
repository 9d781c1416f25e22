"""Events drawn from a run's model: many in pieces, so that each needs no more memory than one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator

from ebmcore.contracts import Start
from ebmcore.errors import EbmError, first_line, too_large
from ebmcore.monitoring.model_samples import (
    ConditionError,
    ModelSamples,
    chosen,
    conditions,
    masks,
)
from ebmcore.runner.checks.memory import refuse_too_many
from ebmcore.sampling import kept_by
from ebmcore.train.ema import averages_in_place
from ebmcore.train.rng import Streams, derive, own_global_stream

PIECE = 100_000  # events up to which all are drawn at once, with the bits that they always had


class Draws:
    """Events to draw from a run's model; the arguments are those of `Run.draw`.

    More than PIECE come in pieces, each with a random stream of its own. They begin at kept chains
    where `ebmcore/monitoring/model_samples.py` says so, at each of these once while there are
    enough; else `warning` says so. Raises EbmError as `Run.draw` does.
    """

    def __init__(
        self, run: Any, n: int, n_steps: int | None, *, seed: int, y: Any, mask: Any
    ) -> None:
        if run.sampler is None or run.chains is None:
            raise EbmError(
                run.lacks
                or "this run has no sampler and chains; draw with "
                "ebmcore.sample_chain(kernel, run.energy, event_shape=…)"
            )
        refuse_too_many("n", n, run.bounds[0].numel() * run.bounds.element_size())
        self.run = run  # a Run, whose file imports this one
        self.n, self.n_steps, self.seed = n, n_steps, seed
        self.y, self.mask = y, mask
        self.warning = ""
        self.kept = None if getattr(run.chains, "begins_at_data", True) else kept_by(run.chains)
        if self.kept is not None and n > (there := len(self.kept.x)):
            self.warning = (
                f"{n} events begin at {there} kept chains, so some begin at the same one and "
                "resemble each other until the sampler's steps have mixed them; draw at most "
                f"{there}, or with more steps"
            )

    def __iter__(self) -> Iterator[Start]:
        """Draw the pieces, one after the other."""
        stream, device, n = f"samples {self.seed}", self.run.bounds.device, self.n
        if n <= PIECE:
            yield self._draw(n, stream, self.y, self.mask)
            return
        with self._refusing():
            y = None if self.y is None else conditions(self.y, n, device)
            mask = None if self.mask is None else masks(self.mask, n, device)
        kept = None
        if self.kept is not None:
            there = len(self.kept.x)
            kept = chosen(self.kept.y, there, y, n, self._generator(stream))
        for number, begin in enumerate(range(0, n, PIECE), 1):
            piece = slice(begin, min(begin + PIECE, n))
            given = [None if each is None else each[piece] for each in (y, mask, kept)]
            yield self._draw(piece.stop - begin, f"{stream} piece {number}", *given)

    def _generator(self, stream: str) -> Generator:
        return Streams(self.run.seed, self.run.bounds.device)(stream)

    def _draw(self, n: int, stream: str, y: Any, mask: Any, kept: Any = None) -> Start:
        with self.samples(stream) as samples:
            return samples.draw(n, self.n_steps, y=y, mask=mask, kept=kept)

    @contextmanager
    def samples(self, stream: str) -> Iterator[ModelSamples]:
        """Give the model to draw from with a random stream of its own."""
        run = self.run
        # a sampler may draw from torch's global generators, too
        with (
            own_global_stream(derive(run.seed, stream), run.bounds.device),
            averages_in_place(run.held_networks, run.networks),
            self._refusing(),
        ):
            yield ModelSamples(
                run.energy, run.sampler, run.chains, self._generator(stream), run.bounds, run.space,
                masks=run.masks,
            )  # fmt: skip

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except ConditionError as error:
            raise EbmError(str(error)) from error
        except Exception as error:
            if not too_large(error):
                raise
            raise EbmError(f"n: {self.n} events are too many: {first_line(error)}") from error


def joined(pieces: list[Start]) -> Start:
    """Return the events of all pieces, with their conditions."""
    if len(pieces) == 1:
        return pieces[0]
    xs, ys, of_masks = zip(*((piece.x, piece.y, piece.mask) for piece in pieces), strict=True)
    y, mask = (None if one[0] is None else torch.cat(one) for one in (ys, of_masks))
    return Start(torch.cat(xs), y, mask=mask)
