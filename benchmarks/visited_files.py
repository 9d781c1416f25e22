"""The files of the core that `ebmcore run` visits before its first training step, in their order.

    python benchmarks/visited_files.py examples/toys.yaml compile=false

A file counts when one of its functions is called; an import is not enough. Below are the pairs of
files that call each other, with the calls in each direction. The run's directory and its MLflow
database are in a temporary folder; the process ends at the first step.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CORE = f"{ROOT}{os.sep}ebmcore{os.sep}"
STEPS = {f"{CORE}train/step.py", f"{CORE}compile/step.py"}


class Visits:
    """A profiler: it notes each file of the core at the first call of one of its functions."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.first_call: dict[str, str] = {}
        self.calls: dict[tuple[str, str], dict[str, None]] = {}  # caller's and callee's file

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Note a call; end the process at the first step."""
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(CORE) or _is_importing(frame):
            return
        self.first_call.setdefault(code.co_filename, code.co_qualname)
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(CORE):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename != code.co_filename:
            pair = (caller.f_code.co_filename, code.co_filename)
            call = f"{caller.f_code.co_qualname} -> {code.co_qualname}"
            self.calls.setdefault(pair, {})[call] = None
        if code.co_filename in STEPS and code.co_name == "compute":
            sys.setprofile(None)
            threading.setprofile(None)
            self.show()
            sys.stdout.flush()
            shutil.rmtree(self.folder, ignore_errors=True)
            os._exit(0)

    def show(self) -> None:
        """Print the files in the order of their first calls, and those that call each other."""
        for number, (file, function) in enumerate(self.first_call.items(), 1):
            print(f"{number:3}  {Path(file).relative_to(ROOT)}  {function}")
        pairs = [pair for pair in self.calls if pair < pair[::-1] and pair[::-1] in self.calls]
        for one, other in pairs:
            print(f"{Path(one).relative_to(ROOT)} and {Path(other).relative_to(ROOT)}")
            for call in (*self.calls[one, other], *self.calls[other, one]):
                print(f"     {call}")


def _is_importing(frame: FrameType | None) -> bool:
    """Tell whether a call is a part of a module's import."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"] != "__main__":
            return True
        frame = frame.f_back
    return False


def main() -> None:
    """Run the command with the profiler on."""
    config, *overrides = sys.argv[1:]
    command = ["ebmcore", "run", str(Path(config).resolve()), *overrides]
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        from ebmcore.cli.main import main as ebmcore

        visits = Visits(folder)
        threading.setprofile(visits)
        sys.setprofile(visits)
        sys.argv = command
        ebmcore()


if __name__ == "__main__":
    main()
