"""The ranks that train one run together, and all that they say to each other.

Every exchange is a collective: each rank makes the same calls in the same order. When a rank is
gone the others' next exchange fails at once with a RankError; where one only hangs it fails after
`EBMCORE_RANKS_TIMEOUT` seconds, 600 by default. Alone, each call gives back what it was given.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ebmcore.distributed.rank import Place
from ebmcore.errors import ConfigError, EbmError, Problem, RankError

TIMEOUT_VARIABLE = "EBMCORE_RANKS_TIMEOUT"
_TIMEOUT = 600.0  # seconds: compiling, a monitor or a slow disk may keep one rank for minutes
_LAST_WORDS = 1.0  # seconds that a rank that failed has to say why
_CPU = torch.device("cpu")


class Ranks:
    """The processes that train together; of one alone, nothing is exchanged."""

    def __init__(self, place: Place, store: Any = None) -> None:
        self.rank, self.size, self.local = place
        self._store = store  # where a rank that fails leaves word, for as long as torchrun lives

    def mean_(self, flat: Tensor) -> Tensor:
        """Put the mean over the ranks into a tensor, the same bits on every rank."""
        self.sum_(flat)
        return flat.div_(self.size) if self.size > 1 else flat

    def sum_(self, flat: Tensor) -> Tensor:
        """Put the sum over the ranks into a tensor, the same bits on every rank."""
        if self.size > 1:
            with self._exchange():
                dist.all_reduce(flat)
        return flat

    def rows(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all ranks, which have one shape, on every rank."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        with self._exchange():
            dist.all_gather(found, tensor.contiguous())
        return found

    def rows_at_first(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all ranks on rank 0, and none on the others."""
        if self.size == 1:
            return [tensor]
        held = tensor.contiguous()
        found = [torch.empty_like(held) for _ in range(self.size)] if self.rank == 0 else None
        with self._exchange():
            dist.gather(held, found)
        return found or []

    def from_first_(self, tensors: Sequence[Tensor]) -> None:
        """Put rank 0's values into tensors of the same shapes on every rank."""
        if self.size > 1:
            with self._exchange(), torch.no_grad():
                for tensor in tensors:
                    if tensor.numel():
                        held = tensor.detach().flatten().clone()
                        dist.broadcast(held.view(torch.uint8), 0)  # every type has bytes
                        tensor.copy_(held.view_as(tensor))

    def word(self, text: str) -> str:
        """Return rank 0's text; what the others give doesn't matter."""
        return text if self.size == 1 else self.texts(text)[0].decode()

    def texts(self, text: str) -> list[bytes]:
        """Return every rank's text, on every rank."""
        return self._bytes(text.encode(), self.rows)

    def bytes_at_first(self, data: bytes) -> list[bytes]:
        """Return every rank's data on rank 0, and none on the others."""
        return self._bytes(data, self.rows_at_first)

    def _bytes(self, data: bytes, exchange: Callable[[Tensor], list[Tensor]]) -> list[bytes]:
        if self.size == 1:
            return [data]
        lengths = [int(n) for n in self.rows(torch.tensor([len(data)]))]
        padded = torch.zeros(max(1, *lengths), dtype=torch.uint8)
        if data:
            padded[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        found = exchange(padded)
        return [bytes(t[:n].numpy()) for t, n in zip(found, lengths, strict=False)]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Refuse on every rank what one of them refuses, before anything is written."""
        refusal: EbmError | None = None
        try:
            yield
        except EbmError as error:
            refusal = error
        if self.size == 1:
            if refusal is not None:
                raise refusal
            return
        said = [text.decode() for text in self.texts(str(refusal) if refusal else "")]
        other = next((f"rank {r}: {text}" for r, text in enumerate(said) if text), None)
        if refusal is not None:
            raise refusal
        if other is not None:
            raise EbmError(other)

    def tell_failure(self, text: str) -> None:
        """Leave word of what ended this rank, for rank 0 to put into the run's log."""
        if self._store is not None:
            with suppress(Exception):  # the store may have gone with the machine that held it
                self._store.set(f"ebmcore failed/{self.rank}", text)

    def explained(self, error: RankError, log: Callable[[str, str], None]) -> RankError:
        """Log what other ranks said before they ended; return the error with the reason in it."""
        found = self.failures()
        for rank, text in found.items():
            log("ERROR", f"rank {rank}:\n{text}")
        if not found:
            return RankError(f"{error}; one of them is gone, and left no word of why")
        last = [f"rank {rank}: {text.strip().splitlines()[-1]}" for rank, text in found.items()]
        return RankError("; ".join(last))

    def failures(self) -> dict[int, str]:
        """Return what other ranks said before they ended, by rank."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        found: dict[int, str] = {}
        until = time.monotonic() + _LAST_WORDS
        while self._store is not None and not found and time.monotonic() < until:
            with suppress(Exception):
                there = [rank for rank in others if self._store.check([f"ebmcore failed/{rank}"])]
                found = {rank: self._store.get(f"ebmcore failed/{rank}").decode() for rank in there}
            time.sleep(0.1)
        return found

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = str(error).partition(". This is")[0]
            raise RankError(
                f"rank {self.rank} of {self.size} can't reach the others: {reason}"
            ) from error


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the other ranks, if there are any, and leave them at the end, however that comes.

    What a script has set up by torch.distributed is used as it is. Raises RankError when not all
    ranks come, ConfigError when the environment says nonsense.
    """
    place = Place.here()
    if place.size == 1:
        yield Ranks(place)
        return
    ours = not dist.is_initialized()
    if ours:
        _join()
    try:
        yield Ranks(place, dist.distributed_c10d._get_default_store())
    finally:
        # a rank that leaves closes its connections, so those that still wait for it fail at once
        if ours and dist.is_initialized():
            with suppress(RuntimeError):
                dist.destroy_process_group()


def _join() -> None:
    accelerated = torch.cuda.is_available()
    backend = "cpu:gloo,cuda:nccl" if accelerated else "gloo"
    text = os.environ.get(TIMEOUT_VARIABLE, str(_TIMEOUT))
    try:
        seconds = float(text)
        if not 0 < seconds < float("inf"):
            raise ValueError(text)
    except ValueError as error:
        message = f"should be a number of seconds; got {text!r}"
        raise ConfigError([Problem(TIMEOUT_VARIABLE, message)]) from error
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=seconds))
    except (RuntimeError, ValueError) as error:
        raise RankError(f"the ranks don't find each other: {error}") from error
