"""Runs pytest many times for the price of one import of torch: each time in a fork of this process.

Reads lines of JSON from standard input, `{"folder": …, "test": …}`: a folder to put first on the
path, and a test to run there. Answers each with a line, pytest's exit code and what it printed.
"""

import json
import os
import sys
import tempfile

import matplotlib.figure  # noqa: F401 (what many of the tests import sooner or later, once for all)
import pytest
import torch
import torch._dynamo  # an optimiser imports it

import ebmcore.runner  # noqa: F401


def run(folder: str, test: str) -> tuple[int, str]:
    """Run one test in a fork."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            sys.path.insert(0, folder)
            os.chdir(folder)
            options = ["-q", "-x", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder]
            code = pytest.main([*options, "--import-mode=importlib", "--tb=line", test])
            sys.stdout.flush()
            os._exit(int(code))
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read().decode(errors="replace")


def main() -> None:
    """Answer one line at a time."""
    torch.set_num_threads(1)  # threads do not survive a fork
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(**json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
