"""How long the commands that people type all day take to start: `python benchmarks/startup.py`.

Prints the median wall time of ten runs of each, with the plugins that are installed, in turns with
the bare start of the interpreter.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "ebmcore --help": ["-m", "ebmcore", "--help"],
    "ebmcore plugins list": ["-m", "ebmcore", "plugins", "list"],
}
ROUNDS = 10


def main() -> None:
    """Measure, and print a line for each command."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS + 1):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - began)
    for name, found in seconds.items():
        print(f"{name:24} {median(found[1:]):.3f} s")  # the first round warms the disk's cache


if __name__ == "__main__":
    main()
