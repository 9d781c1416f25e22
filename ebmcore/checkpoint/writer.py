"""Writes large checkpoints beside the training: one at a time, from a copy in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ebmcore.checkpoint.files import Contents, write_checkpoint

# Bytes below which a checkpoint is written at once. That takes tens of milliseconds, most of them
# for three syncs to disk: not worth to call callbacks at a later step, which the disk's speed sets.
AT_ONCE = 8 * 1024**2


class CheckpointWriter:
    """Writes the checkpoints of a run to its folder, each before the next one.

    A large one is copied, so that the run may go on, and a thread writes the copy. All methods are
    for the thread that trains.

    Args:
        folder: The run's checkpoints.
        show: Called in the thread that trains with the path of each checkpoint, in their order, by
            the first call of a method after it was finished.
        cancelled: Is set by `abandon`.
    """

    def __init__(
        self, folder: Path, show: Callable[[Path], None], cancelled: threading.Event | None = None
    ) -> None:
        self.folder = folder
        self.show = show
        self.cancelled = cancelled or threading.Event()
        self._thread: threading.Thread | None = None
        self._result: Path | BaseException | None = None  # set by the thread as it ends

    def write(self, contents: Contents, then: Callable[[], None], *, at_once: bool = False) -> None:
        """Write a checkpoint, and call `then`, maybe in another thread, once it is in its place.

        Raises the errors of both here if it writes at once, else by a later call of a method.
        """
        self.settle()
        if at_once or contents.size < AT_ONCE:
            self._write(contents, then)
        else:
            arguments = (contents.copied(), then)
            # a daemon: nothing waits for it if an interrupt ends the wait for it
            self._thread = threading.Thread(target=self._write, args=arguments, daemon=True)
            self._thread.start()
        self.after_step()

    def _write(self, contents: Contents, then: Callable[[], None]) -> None:
        try:
            path = write_checkpoint(self.folder, contents, self.cancelled.is_set)
            then()
            self._result = path
        except BaseException as error:  # `after_step` raises it
            self._result = error

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._thread is not None and self._thread.is_alive()

    def after_step(self) -> None:
        """Show a checkpoint that was finished, or raise why it wasn't; don't wait for one."""
        if self.busy:
            return
        self._thread = None
        result, self._result = self._result, None
        if isinstance(result, BaseException):
            raise result
        if result is not None:
            self.show(result)

    def wait(self) -> None:
        """Wait for the checkpoint that is being written, if there is one."""
        if self._thread is not None:
            self._thread.join()

    def settle(self) -> None:
        """Wait for the checkpoint that is being written; show it, or raise why there is none."""
        self.wait()
        self.after_step()

    def abandon(self) -> None:
        """Leave the checkpoint that is being written; those before stay."""
        self.cancelled.set()
        self.wait()
        self._thread = self._result = None
