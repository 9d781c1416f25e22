"""Several steps of a kernel as one compiled graph, for chains of any length."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.compile.batched_noise import (
    BatchedNoise,
    Noises,
    generator_state,
    set_generator_state,
)
from ebmcore.compile.compilers import OutOfTime, time_limit
from ebmcore.compile.graph import (
    LONG_STEP,
    SAMPLES_DIFFER,
    Graph,
    is_recurrent,
    nearly_equal,
    unavailable,
)
from ebmcore.compile.parts import with_compiled_parts
from ebmcore.errors import GraphError
from ebmcore.sampling.conditions import conditions_bound, energy_alone, given, one_each

STEPS_PER_GRAPH = 20  # more take longer to compile and are hardly faster
_SECONDS = 300.0  # for compiling
_PAYS = 100_000  # steps: each saves some 0.2 ms, and compiling takes 5 to 25 s
_PARTS_PAY = 5_000  # steps of a kernel with `parts`, each of many gradients


class CompiledKernel:
    """A kernel's steps on an energy, several to a graph; the remainder runs eagerly.

    These are STEPS_PER_GRAPH, or one if the energy has recurrent layers, unrolled in time.

    The first call runs both ways and compares them. When they differ, or the kernel or the energy
    can't be traced, all steps run eagerly and `why` gives the reason; the draws are the same. Of a
    kernel that names `parts`, each part is a graph, and the step that calls them runs eagerly.

    Args:
        kernel: A `Kernel`.
        energy: Any callable, (chains, *event) -> (chains,).
        every: Whether to return the state after every step, or only after a graph's last.
        device: The device of the chains.
        backend: The backend of `Graph`.
    """

    def __init__(
        self,
        kernel: Any,
        energy: Any,
        *,
        every: bool,
        device: torch.device,
        backend: str = "inductor",
    ) -> None:
        self.kernel = kernel
        self.noise = BatchedNoise(kernel)
        self.energy = energy_alone(energy)
        self.conditions = conditions_bound(energy)  # inputs of the graph, so they may change
        self.every = every
        self.device = device
        most = getattr(kernel, "steps_per_graph", STEPS_PER_GRAPH)  # fewer of a kernel of kernels
        self.size = 1 if is_recurrent(self.energy) else min(most, STEPS_PER_GRAPH)
        self.threads = torch.get_num_threads()
        in_parts, long = getattr(kernel, "parts", ()), getattr(kernel, "long_step", False)
        self.why = unavailable(device) or (LONG_STEP if long and not in_parts else "")
        self.stepped = kernel
        if in_parts and not self.why:
            self.stepped = with_compiled_parts(kernel, energy, device, backend=backend)
        self.verified = False

        bare = self.energy

        def several_steps(state: Any, noises: Noises, conditions: Any) -> tuple[Any, Any]:
            energy = given(bare, **conditions)
            states = []
            for noise in noises:
                state, info = kernel.step(energy, state, noise)
                if every:
                    states.append((state.x, info))
            return state, (states or [(state.x, info)])

        self.graph = Graph(several_steps, device, backend=backend)

    def run(
        self, state: Any, n_steps: int, generator: Generator | None
    ) -> Iterator[tuple[Any, list[tuple[Tensor, Any]]]]:
        """Take n_steps; yield after each graph the state and a list of (x, info)."""
        left, whole = n_steps, self.stepped is self.kernel
        conditions = {name: one_each(name, v, state.x) for name, v in self.conditions.items()}
        energy = given(self.energy, **conditions)
        while whole and left >= self.size and not self.why:
            before = generator_state(generator, state.x)
            try:
                noises = self.noise(state.x, generator, self.size)
                until = math.inf if self.verified else time.monotonic() + _SECONDS
                with time_limit(until):
                    after, states = self.graph(state, noises, conditions)
                if not self.verified:
                    self._verify(energy, state, after, before, generator)
            except (GraphError, OutOfTime) as error:
                self.why = str(error) or f"compiling took more than {_SECONDS:g} s"
                set_generator_state(generator, state.x, before)
                break
            state, left = after, left - self.size
            yield state, states
        for _ in range(left):
            state, info = self.stepped.step(energy, state, self.kernel.noise(state.x, generator))
            yield state, [(state.x, info)]
        parts = (getattr(self.stepped, name) for name in getattr(self.kernel, "parts", ()))
        self.why = self.why or next((part.why for part in parts if not whole and part.why), "")

    def _verify(
        self, energy: Any, state: Any, after: Any, before: Tensor, generator: Generator | None
    ) -> None:
        """Take the same steps eagerly. Raises GraphError when the samples differ."""
        end = generator_state(generator, state.x)
        set_generator_state(generator, state.x, before)
        for _ in range(self.size):
            state, _ = self.kernel.step(energy, state, self.kernel.noise(state.x, generator))
        same_draws = torch.equal(end, generator_state(generator, state.x))
        if not (same_draws and nearly_equal(after.x, state.x)):
            raise GraphError(SAMPLES_DIFFER)
        self.verified = True


_RECENT: list[CompiledKernel] = []  # the newest first


def compiled_kernel(
    kernel: Any, energy: Any, *, every: bool, device: torch.device
) -> CompiledKernel:
    """Return the compiled kernel of a kernel on an energy: one of the last two, or a new one.

    A second call with the same objects compiles nothing, also with other conditions of the energy.
    The graph's guards check at each call whether they have changed.
    """
    threads = torch.get_num_threads()
    bare, conditions = energy_alone(energy), conditions_bound(energy)
    for recent in _RECENT:
        same = recent.kernel is kernel and recent.energy is bare and recent.every == every
        if same and (recent.device, recent.threads) == (device, threads):
            recent.conditions = conditions
            return recent
    made = CompiledKernel(kernel, energy, every=every, device=device)
    _RECENT[:] = [made, *_RECENT[:1]]
    return made


def compiling_pays(kernel: Any, n_steps: int) -> bool:
    """Whether n_steps save more time than compiling takes."""
    parts, long = getattr(kernel, "parts", ()), getattr(kernel, "long_step", False)
    enough = n_steps >= (_PARTS_PAY if parts else _PAYS)
    return enough and (bool(parts) or not long) and not hasattr(kernel, "sample")
