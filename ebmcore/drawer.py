"""The process that draws a run's figures beside it: `python -m ebmcore.drawer`, as `Artist` does.

It reads jobs from its standard input, each a line of JSON and then as many bytes as that says, and
answers each with a line: the seconds that it took, or `-` when it can't be drawn here. It ends with
its input. The bytes are pickle, from the run that started it; nothing from a file is unpickled.
"""

from __future__ import annotations

import json
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
        job = json.loads(line)
        body = jobs.read(job["bytes"])
        began, answer = time.perf_counter(), "-"
        with suppress(Exception):  # the run draws it itself, and hears then what is wrong with it
            figure, settings = pickle.loads(body)
            draw(figure, settings, job["file"])
            answer = f"{time.perf_counter() - began:.4f}"
        answers.write(f"{answer}\n".encode())
        answers.flush()


def draw(figure: Any, settings: Any, file: str) -> None:
    """Write a figure as a PNG, by Matplotlib's settings; the file is there when it is whole."""
    import matplotlib as mpl

    with mpl.rc_context(settings):
        figure.savefig(f"{file}.part", format="png")
    os.replace(f"{file}.part", file)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:  # a figure that pyplot made is in its hands again
        pyplot.close("all")


def main() -> None:
    """Serve. A Ctrl-C is the run's to hear, which closes the input when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints is no answer
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
