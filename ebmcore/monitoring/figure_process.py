"""The process that draws a run's figures: `python -m ebmcore.monitoring.figure_process`.

It reads jobs from its standard input, each a line with a number and then as many bytes, and answers
each with a line, the seconds that it took and the size of the picture, and then the picture, a PNG:
of 0 bytes when it can't be drawn here. It ends with its input. The bytes of a job are pickle, from
the run that started it; nothing from a file is unpickled, and no file is written.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import time
from contextlib import suppress
from typing import Any, BinaryIO


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Draw until there are no more jobs."""
    while line := jobs.readline():
        body = jobs.read(int(line))
        began, png = time.perf_counter(), b""
        with suppress(Exception):  # the run draws it itself, and hears then what is wrong with it
            figure, settings = pickle.loads(body)
            png = draw(figure, settings)
        answers.write(f"{time.perf_counter() - began:.4f} {len(png)}\n".encode() + png)
        answers.flush()


def draw(figure: Any, settings: Any) -> bytes:
    """Draw a figure as a PNG, by Matplotlib's settings."""
    import matplotlib as mpl

    png = io.BytesIO()
    with mpl.rc_context(settings):
        figure.savefig(png, format="png")
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:  # a figure that pyplot made is in its hands again
        pyplot.close("all")
    return png.getvalue()


def main() -> None:
    """Serve. A Ctrl-C is the run's to hear, which closes the input when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints is no answer
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
