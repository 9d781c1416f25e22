"""One side in a process of its own: `python -m speed.worker SIDE`, told what to do line by line.

A line is {"call": METHOD, …arguments}; the answer is one line of JSON. One thread: OpenMP, MKL and
torch by their variables, which `rounds.py` sets, and by `torch.set_num_threads(1)`; XLA by
`--xla_cpu_multi_thread_eigen=false` and NPROC=1, the size that it gives its own pool. That it holds
is seen in the CPU seconds, which are recorded beside the wall's and may not exceed them by much.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from speed import work as given
from speed.side import AbsentError, Side, Timed
from speed.work import WORKS

SIDES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plain": ("plain", "Plain", {}),
    "plain, DataLoader": ("plain", "Plain", {"loader": True}),
    "torchebm": ("torchebm_side", "TorchEBM", {}),
    "jax": ("jax_side", "Jax", {}),
    "library": ("ours", "Library", {}),
    "library, compiled": ("ours", "Library", {"compiled": True}),
    "runner": ("ours", "Runner", {}),
    "runner, compiled": ("ours", "Runner", {"compiled": True}),
    "tutorial": ("examples", "Tutorial", {}),
    "example": ("examples", "Example", {"config": "five_gaussians.yaml"}),
    "example, bare": ("examples", "Example", {"config": "five_gaussians.yaml", "bare": True}),
    "tutorial, our runner": ("examples", "Example", {"config": "five_gaussians_tutorial.yaml"}),
}


class Service:
    """What the driver may ask of a side."""

    def __init__(self, side: Side, import_seconds: float) -> None:
        self.side = side
        self.import_seconds = import_seconds

    def warm_train(self, work: str, seed: int, steps: int) -> dict[str, Any]:
        """Build, and do a first block, which compiles what there is to compile."""
        self.side.build(WORKS[work], seed)
        took = Timed.of(lambda: self.side.timed_train(steps))
        return {"warm": took.seconds, "import": self.import_seconds}

    def warm_walk(self, work: str, seed: int, steps: int, n: int) -> dict[str, Any]:
        """Build, put n chains and do a first block."""
        self.side.build(WORKS[work], seed)
        self.side.place(given.chains(WORKS[work], seed, n))
        took = Timed.of(lambda: self.side.walk(steps))
        return {"warm": took.seconds, "import": self.import_seconds}

    def learn(self, work: str, seed: int, steps: int) -> dict[str, Any]:
        """Train from the start; return the KL."""
        return self.side.learn(WORKS[work], seed, steps)

    def memory(self) -> dict[str, Any]:
        """Return the most memory that this process ever had, in megabytes."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"megabytes": peak / (1e6 if sys.platform == "darwin" else 1e3) * 1.024}

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        found: Callable[..., dict[str, Any]] = getattr(self.side, name)
        return found


def answer(service: Service, line: str) -> dict[str, Any]:
    """Do what a line asks; an exception is an answer too."""
    asked = json.loads(line)
    try:
        return getattr(service, asked.pop("call"))(**asked)
    except AbsentError as error:
        return {"absent": str(error)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:300]}


def main() -> None:
    """Import the side, say how that went, and serve until the driver closes the pipe."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def reply(document: dict[str, Any]) -> None:
        replies.write(json.dumps(document) + "\n")
        replies.flush()

    module, name, arguments = SIDES[sys.argv[1]]
    began = time.perf_counter()
    try:
        side = getattr(import_module(f"speed.{module}"), name)(**arguments)
    except AbsentError as error:
        reply({"absent": str(error)})
        return
    reply({"ready": True})
    service = Service(side, time.perf_counter() - began)
    for line in sys.stdin:
        reply(answer(service, line))


if __name__ == "__main__":
    main()
