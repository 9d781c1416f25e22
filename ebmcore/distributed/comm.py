"""Communication between the ranks that train one run together.

Every method is a collective: each rank makes the same calls in the same order. After a rank exits,
the next collective of the others fails at once with a RankError; when a rank hangs, it fails after
`EBMCORE_RANKS_TIMEOUT` seconds, 600 by default. In a single process each call returns its argument.
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

from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import ConfigError, EbmError, Problem, RankError

TIMEOUT_VARIABLE = "EBMCORE_RANKS_TIMEOUT"
_TIMEOUT = 600.0  # seconds: compiling, a monitor or a slow disk may keep one rank for minutes
_REPORT_WAIT = 1.0  # seconds to wait for the error report of a rank that failed
_CPU = torch.device("cpu")


class Ranks:
    """The processes that train together, or a single one, which exchanges nothing."""

    def __init__(self, rank_info: RankInfo, store: Any = None) -> None:
        self.info = rank_info
        self.rank, self.size, self.local = rank_info
        self._store = store  # torchrun's; a rank that fails writes its error there

    def mean_(self, flat: Tensor) -> Tensor:
        """Replace a tensor by its mean over the ranks, the same bits on every rank."""
        self.sum_(flat)
        return flat.div_(self.size) if self.size > 1 else flat

    def sum_(self, flat: Tensor) -> Tensor:
        """Replace a tensor by its sum over the ranks, the same bits on every rank."""
        if self.size > 1:
            with self._exchange():
                dist.all_reduce(flat)
        return flat

    def all_gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all ranks, of one shape, on every rank."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        with self._exchange():
            dist.all_gather(found, tensor.contiguous())
        return found

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all ranks on rank 0, and none on the others."""
        if self.size == 1:
            return [tensor]
        held = tensor.contiguous()
        found = [torch.empty_like(held) for _ in range(self.size)] if self.rank == 0 else None
        with self._exchange():
            dist.gather(held, found)
        return found or []

    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Copy rank 0's values into tensors of the same shapes on every rank."""
        if self.size > 1:
            with self._exchange(), torch.no_grad():
                for tensor in tensors:
                    if tensor.numel():
                        held = tensor.detach().flatten().clone()
                        dist.broadcast(held.view(torch.uint8), 0)  # every type has bytes
                        tensor.copy_(held.view_as(tensor))

    def broadcast_text(self, text: str) -> str:
        """Return rank 0's text on every rank; the arguments of the others are ignored."""
        return text if self.size == 1 else self.all_gather_text(text)[0].decode()

    def all_gather_text(self, text: str) -> list[bytes]:
        """Return every rank's text, on every rank."""
        return self._bytes(text.encode(), self.all_gather)

    def gather_bytes(self, data: bytes) -> list[bytes]:
        """Return every rank's data on rank 0, and none on the others."""
        return self._bytes(data, self.gather)

    def _bytes(self, data: bytes, exchange: Callable[[Tensor], list[Tensor]]) -> list[bytes]:
        if self.size == 1:
            return [data]
        lengths = [int(n) for n in self.all_gather(torch.tensor([len(data)]))]
        padded = torch.zeros(max(1, *lengths), dtype=torch.uint8)
        if data:
            padded[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        found = exchange(padded)
        return [bytes(t[:n].numpy()) for t, n in zip(found, lengths, strict=False)]

    @contextmanager
    def share_errors(self) -> Iterator[None]:
        """Raise on every rank when one of them raises EbmError, before anything is written."""
        own: EbmError | None = None
        try:
            yield
        except EbmError as error:
            own = error
        if self.size == 1:
            if own is not None:
                raise own
            return
        texts = [text.decode() for text in self.all_gather_text(str(own) if own else "")]
        other = next((f"rank {r}: {text}" for r, text in enumerate(texts) if text), None)
        if own is not None:
            raise own
        if other is not None:
            raise EbmError(other)

    def report_failure(self, text: str) -> None:
        """Store the error that ended this rank, for rank 0 to write into the run's log."""
        if self._store is not None:
            with suppress(Exception):  # the machine that held the store may be down
                self._store.set(f"ebmcore failed/{self.rank}", text)

    def explain(self, error: RankError, log: Callable[[str, str], None]) -> RankError:
        """Log the errors that other ranks reported; return an error with their last lines."""
        found = self.failures()
        for rank, text in found.items():
            log("ERROR", f"rank {rank}:\n{text}")
        if not found:
            return RankError(f"{error}; a rank exited without reporting an error")
        last = [f"rank {rank}: {text.strip().splitlines()[-1]}" for rank, text in found.items()]
        return RankError("; ".join(last))

    def failures(self) -> dict[int, str]:
        """Return the errors that other ranks reported, by rank."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        found: dict[int, str] = {}
        until = time.monotonic() + _REPORT_WAIT
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
def joined(rank_info: RankInfo | None = None) -> Iterator[Ranks]:
    """Join the process group of the ranks, if there are several, and leave it at the end.

    A process group that a script has initialised is used and left open. Raises RankError when the
    ranks can't connect, ConfigError when an environment variable is invalid.
    """
    rank_info = RankInfo.from_environment() if rank_info is None else rank_info
    if rank_info.size == 1:
        yield Ranks(rank_info)
        return
    initialises = not dist.is_initialized()
    if initialises:
        _initialise()
    try:
        yield Ranks(rank_info, dist.distributed_c10d._get_default_store())
    finally:
        # a rank that leaves closes its connections, so the ranks that wait for it fail at once
        if initialises and dist.is_initialized():
            with suppress(RuntimeError):
                dist.destroy_process_group()


def _initialise() -> None:
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
        raise RankError(f"the ranks can't connect to each other: {error}") from error
