"""Worker processes that read batches ahead, in order: torch's DataLoader with an orderly end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from ebmcore.config import Loader
from ebmcore.data.row_reader import ReadRows, RowReader
from ebmcore.errors import DataError, first_line

# signals that reach a whole process group; Windows lacks some
_LEFT_TO_THE_RUN = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
]


class Key(NamedTuple):
    """A batch to read."""

    visit: str  # what for, such as `step 3`
    numbers: Any  # (k,), a NumPy array: a queue would share all of the storage of a tensor's view


class Workers:
    """Processes that read batches ahead; they start at the first reading.

    Args:
        read: Reads the rows of a batch.
        loader: How many there are, and how far each reads ahead.
        pinned: Whether batches are copied into pinned memory, for an accelerator.
    """

    def __init__(self, read: RowReader, loader: Loader, *, pinned: bool = False) -> None:
        self._keys = _Keys()
        self._processes: list[Any] = []
        self._loader = DataLoader(
            _Fetch(read),
            batch_size=None,
            sampler=self._keys,
            num_workers=loader.workers,
            prefetch_factor=loader.prefetch,
            persistent_workers=True,
            pin_memory=pinned,
            collate_fn=_unchanged,
            worker_init_fn=_prepare_worker,
            generator=Generator().manual_seed(0),  # torch's global one is not for it
            # a fork knows the classes of local plugin files
            multiprocessing_context="fork" if sys.platform == "linux" else None,
        )

    def __call__(self, keys: Iterable[Key]) -> Iterator[ReadRows]:
        """Read batches, in the order of their keys. Raises DataError."""
        self._keys.now = keys
        before = multiprocessing.active_children()
        with _own_handler_of_children(), _signals_wait(), _forking():
            batches = iter(self._loader)
        started = (child for child in multiprocessing.active_children() if child not in before)
        self._processes.extend(started)
        while True:
            try:
                found = next(batches)
            except StopIteration:
                return
            except (RuntimeError, OSError, EOFError) as error:
                raise DataError(
                    "a worker process of data.loader ended without a message: it was killed, as "
                    "the system does when memory runs out, or crashed. Fewer workers or "
                    f"prefetched batches need less memory; torch says: {first_line(error)}"
                ) from error
            if isinstance(found, _Fault):
                raise DataError(found.text)
            yield found

    def close(self) -> None:
        """End the processes."""
        del self._loader  # it asks them to end, and waits
        for process in self._processes:
            process.kill()
            process.join()
        self._processes = []


class _Fault(NamedTuple):
    text: str


class _Keys:
    """A sampler of keys, which are set before each reading."""

    now: Iterable[Key] = ()

    def __iter__(self) -> Iterator[Key]:
        return iter(self.now)


class _Fetch(Dataset[Any]):
    """Reads a batch for each key; an error becomes a fault, without torch's traceback of it."""

    def __init__(self, read: RowReader) -> None:
        self.read = read

    def __getitem__(self, key: Key) -> ReadRows | _Fault:
        try:
            rows = self.read(torch.from_numpy(key.numbers), key.visit)
            for part in rows:
                if isinstance(part, Tensor):  # here, where a lack of shared memory can be told
                    part.share_memory_()  # type: ignore[no-untyped-call] # torch's own
        except DataError as error:
            return _Fault(str(error))
        except (Exception, SystemExit) as error:
            return _Fault(f"a worker process of data.loader raised {first_line(error)}")
        return rows


def _unchanged(found: Any) -> Any:
    return found


def _prepare_worker(worker_id: int) -> None:
    """Leave signals to the run, and end when it does, even by SIGKILL."""
    for number in _LEFT_TO_THE_RUN:
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(0)


@contextmanager
def _own_handler_of_children() -> Iterator[None]:
    """Keep the handler of SIGCHLD: torch's raises in whatever the run does when a worker dies."""
    number = getattr(signal, "SIGCHLD", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(number)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL if before is None else before)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold signals back while processes start: a worker that isn't prepared yet would end by one.

    It inherits that, and ignores them before it could get one.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _LEFT_TO_THE_RUN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _forking() -> Iterator[None]:
    """Python 3.12 warns of forks beside threads; a worker takes no lock that these may hold."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        yield
