"""Time limits within a test, so that code that hangs fails one test instead of the whole suite."""

import signal
from contextlib import contextmanager


@contextmanager
def within(seconds):
    """Raise TimeoutError where a block takes longer."""

    def late(number, frame):
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
