"""Parts of a kernel's step as compiled graphs, for a step that no one graph can hold."""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import torch

from ebmcore.compile.compilers import OutOfTime, time_limit
from ebmcore.compile.graph import SAMPLES_DIFFER, Graph, results_agree
from ebmcore.errors import GraphError
from ebmcore.sampling.conditions import conditions_bound, energy_alone, given

_SECONDS = 300.0  # for compiling one part


class CompiledPart:
    """A method `(energy, *tensors) -> tensors` of a kernel as one graph.

    The first call runs both ways and compares them. When they differ, or it can't be traced, all
    calls run eagerly and `why` gives the reason.
    """

    def __init__(
        self, method: Any, energy: Any, device: torch.device, backend: str = "inductor"
    ) -> None:
        bare = energy_alone(energy)
        self.method, self.why, self.verified = method, "", False

        def part(conditions: Any, tensors: Any) -> Any:
            return method(given(bare, **conditions), *tensors)

        self.graph = Graph(part, device, backend=backend)

    def __call__(self, energy: Any, *tensors: Any) -> Any:
        """Return what the method returns."""
        if not self.why:
            try:
                until = math.inf if self.verified else time.monotonic() + _SECONDS
                with time_limit(until):
                    found = self.graph(conditions_bound(energy), tensors)
                if not self.verified and not results_agree(found, self.method(energy, *tensors)):
                    raise GraphError(SAMPLES_DIFFER)
                self.verified = True
                return found
            except (GraphError, OutOfTime) as error:
                self.why = str(error) or f"compiling took more than {_SECONDS:g} s"
        return self.method(energy, *tensors)


def with_compiled_parts(kernel: Any, energy: Any, device: torch.device, **options: Any) -> Any:
    """Return a copy of a kernel whose methods named in `parts` are compiled for an energy."""
    compiled = copy.copy(kernel)
    for name in kernel.parts:
        setattr(compiled, name, CompiledPart(getattr(kernel, name), energy, device, **options))
    return compiled
