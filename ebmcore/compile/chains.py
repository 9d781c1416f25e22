"""Several steps of a kernel as one compiled graph, for chains of any length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.compile.batched_noise import Noise, Noises, position, put_back
from ebmcore.compile.graph import Graph, alike, unavailable
from ebmcore.errors import GraphError

BLOCK = 20  # steps in a graph: more take longer to compile and are hardly any quicker
_PAYS = 100_000  # steps: each is quicker by some 0.2 ms, and compiling takes 5 to 25 s


class Blocks:
    """A kernel's steps on an energy, ten to a graph; what is left over is taken step by step.

    The first block is taken both ways and compared. When they differ, or the kernel or the energy
    can't be traced, all steps are taken one by one, and `why` says so; the draws are the same.

    Args:
        kernel: A `Kernel`.
        energy: Any callable, (chains, *event) -> (chains,).
        every: Whether the state after every step is of interest, or that after the last alone.
        device: Where the chains are.
        backend: As of `Graph`.
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
        self.noise = Noise(kernel)
        self.energy = energy
        self.every = every
        self.device = device
        self.threads = torch.get_num_threads()
        self.why = unavailable(device) or ""
        self.checked = False

        def block(state: Any, noises: Noises) -> tuple[Any, Any]:
            seen = []
            for noise in noises:
                state, info = kernel.step(energy, state, noise)
                if every:
                    seen.append((state.x, info))
            return state, (seen or [(state.x, info)])

        self.graph = Graph(block, device, backend=backend)

    def steps(
        self, state: Any, n_steps: int, generator: Generator | None
    ) -> Iterator[tuple[Any, list[tuple[Tensor, Any]]]]:
        """Take n_steps; yield, some steps apart, the state and the (x, info) that were seen."""
        left = n_steps
        while left >= BLOCK and not self.why:
            before = position(generator, state.x)
            try:
                noises = self.noise(state.x, generator, BLOCK)
                after, seen = self.graph(state, noises)
                if not self.checked:
                    self._check(state, after, before, generator)
            except GraphError as error:
                self.why = str(error)
                put_back(generator, state.x, before)
                break
            state, left = after, left - BLOCK
            yield state, seen
        for _ in range(left):
            state, info = self.kernel.step(
                self.energy, state, self.kernel.noise(state.x, generator)
            )
            yield state, [(state.x, info)]

    def _check(self, state: Any, after: Any, before: Tensor, generator: Generator | None) -> None:
        """Take the same steps one by one. Raises GraphError when they lead elsewhere."""
        end = position(generator, state.x)
        put_back(generator, state.x, before)
        for _ in range(BLOCK):
            state, _ = self.kernel.step(self.energy, state, self.kernel.noise(state.x, generator))
        same_draws = torch.equal(end, position(generator, state.x))
        if not (same_draws and alike(after.x, state.x)):
            raise GraphError(
                "its steps lead elsewhere in a graph: they depend on more than the state"
            )
        self.checked = True


_RECENT: list[Blocks] = []  # the last ones first


def blocks_of(kernel: Any, energy: Any, *, every: bool, device: torch.device) -> Blocks:
    """Return the blocks of a kernel on an energy: those made lately, or new ones.

    The last two are held, with their kernels and energies, so that a second call compiles nothing;
    what has changed in them since is asked of the graph at each call, as ever.
    """
    threads = torch.get_num_threads()
    for blocks in _RECENT:
        same = blocks.kernel is kernel and blocks.energy is energy and blocks.every == every
        if same and (blocks.device, blocks.threads) == (device, threads):
            return blocks
    made = Blocks(kernel, energy, every=every, device=device)
    _RECENT[:] = [made, *_RECENT[:1]]
    return made


def pays(kernel: Any, n_steps: int) -> bool:
    """Whether so many steps are worth the seconds that compiling takes."""
    return n_steps >= _PAYS and not hasattr(kernel, "sample")
