"""Events drawn from a run's model: many in pieces, so that each needs no more memory than one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ebmcore.contracts import Chains, Start
from ebmcore.errors import EbmError, first_line, too_large
from ebmcore.monitoring.model_samples import ConditionError, ModelSamples, conditions, masks, rows
from ebmcore.runner.checks.memory import refuse_too_many
from ebmcore.sampling import Sampler, kept_by
from ebmcore.spaces import Space
from ebmcore.train.ema import averages_in_place
from ebmcore.train.rng import Streams, derive, own_global_stream

PIECE = 100_000  # events up to which all are drawn at once, with the bits that they always had


class Model(Protocol):
    """A run, as far as samples of its model need it."""

    energy: nn.Module
    networks: dict[str, nn.Module]
    held_networks: dict[str, nn.Module]
    sampler: Sampler | None
    chains: Chains | None
    bounds: Tensor
    space: Space
    masks: Tensor | None
    lacks: str
    seed: int


class Draws:
    """Events to draw from a run's model; the arguments are those of `Run.draw`.

    More than PIECE come in pieces, each with a random stream of its own. They begin at kept chains
    where `ebmcore/monitoring/model_samples.py` says so, at each of these once while there are
    enough; else `warning` says so. Raises EbmError as `Run.draw` does.
    """

    def __init__(
        self, run: Model, n: int, n_steps: int | None, *, seed: int, y: Any, mask: Any
    ) -> None:
        if run.sampler is None or run.chains is None:
            raise EbmError(
                run.lacks
                or "this run has no sampler and chains; draw with "
                "ebmcore.sample_chain(kernel, run.energy, event_shape=…)"
            )
        refuse_too_many("n", n, run.bounds[0].numel() * run.bounds.element_size())
        self.run, self.sampler, self.chains = run, run.sampler, run.chains
        self.n, self.n_steps, self.seed = n, n_steps, seed
        self.y, self.mask = y, mask
        self.warning = ""
        self._order: Tensor | None = None  # of kept chains, which the pieces share
        clean = not getattr(run.chains, "begins_at_data", True)
        self._kept = kept_by(run.chains) if clean else None
        if self._kept is not None and n > len(self._kept.x):
            self.warning = (
                f"{n} events begin at {len(self._kept.x)} kept chains, so some begin at the same "
                "one and resemble each other until the sampler's steps have mixed them; draw at "
                f"most {len(self._kept.x)}, or with more steps"
            )

    def __iter__(self) -> Iterator[Start]:
        """Draw the pieces, one after the other."""
        if self.n <= PIECE:
            yield self._draw(self.n, self._stream(0), self.chains, self.y, self.mask)
            return
        device = self.run.bounds.device
        with self._refusing():
            y = None if self.y is None else conditions(self.y, self.n, device)
            mask = None if self.mask is None else masks(self.mask, self.n, device)
        for number, begin in enumerate(range(0, self.n, PIECE), 1):
            piece = slice(begin, min(begin + PIECE, self.n))
            of_y, of_mask = (None if given is None else given[piece] for given in (y, mask))
            count = piece.stop - piece.start
            yield self._draw(count, self._stream(number), self._share(piece), of_y, of_mask)

    def _stream(self, piece: int) -> str:
        return f"samples {self.seed}" + (f" piece {piece}" if piece else "")

    def _share(self, piece: slice) -> Chains:
        """Return kept chains for one piece alone, while there are as many as events."""
        if self._kept is None or self.warning:
            return self.chains
        if self._order is None:
            generator = Streams(self.run.seed, self.run.bounds.device)(self._stream(0))
            size = len(self._kept.x)
            self._order = torch.randperm(size, generator=generator, device=generator.device)
        return _Share(rows(self._kept, self._order[piece]))

    def _draw(self, n: int, stream: str, chains: Chains, y: Any, mask: Any) -> Start:
        run, device = self.run, self.run.bounds.device
        # a sampler may draw from torch's global generators, too
        with (
            own_global_stream(derive(run.seed, stream), device),
            averages_in_place(run.held_networks, run.networks),
            self._refusing(),
        ):
            samples = ModelSamples(
                run.energy,
                self.sampler,
                chains,
                Streams(run.seed, device)(stream),
                run.bounds,
                run.space,
                masks=run.masks,
            )
            return samples.draw(n, self.n_steps, y=y, mask=mask)

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


class _Share(Chains):
    """Some of the chains that a run keeps."""

    begins_at_data = False

    def __init__(self, kept: Start) -> None:
        self._kept = kept

    def kept(self) -> Start:
        """Return them."""
        return self._kept


def joined(pieces: list[Start]) -> Start:
    """Return the events of all pieces, with their conditions."""
    if len(pieces) == 1:
        return pieces[0]
    xs, ys, of_masks = zip(*((piece.x, piece.y, piece.mask) for piece in pieces), strict=True)
    y, mask = (None if one[0] is None else torch.cat(one) for one in (ys, of_masks))
    return Start(torch.cat(xs), y, mask=mask)
