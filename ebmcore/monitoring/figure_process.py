"""Renders a run's figures: `python -m ebmcore.monitoring.figure_process`.

The process reads figures from its standard input: a line with a number of bytes, then these bytes.
It writes for each a line with the seconds it took and the size of the image, then the image, a PNG
of 0 bytes when it can't render the figure. It ends when its input does. The bytes are pickle from
the run that started it; it unpickles nothing from a file and writes no file.
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


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Render figures until the input ends."""
    while line := requests.readline():
        body = requests.read(int(line))
        began, png = time.perf_counter(), b""
        with suppress(Exception):  # the run renders it again, and reports the error
            figure, settings = pickle.loads(body)
            png = render(figure, settings)
        answers.write(f"{time.perf_counter() - began:.4f} {len(png)}\n".encode() + png)
        answers.flush()


def render(figure: Any, settings: Any) -> bytes:
    """Render a figure as a PNG, with Matplotlib's settings."""
    import matplotlib as mpl

    png = io.BytesIO()
    with mpl.rc_context(settings):
        figure.savefig(png, format="png")
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:  # pyplot holds a figure that it made, again after unpickling
        pyplot.close("all")
    return png.getvalue()


def main() -> None:
    """Serve, and ignore Ctrl-C: the run handles it, and closes the input when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep printed text out of the answers
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
