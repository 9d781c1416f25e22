"""A walk: chains of one kernel that carry its state from one call to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from ebmcore.contracts import Energy, Sample, Trace
from ebmcore.sampling.energy_checks import evaluating

if TYPE_CHECKING:
    from ebmcore.compile.chains import Blocks


class Walk:
    """Chains on their way: the kernel's state is made once and carried from block to block."""

    def __init__(
        self,
        kernel: Any,
        energy: Energy,
        x: Tensor,
        generator: Generator | None,
        blocks: Blocks | None = None,
    ) -> None:
        self.kernel = kernel
        self.energy = energy
        self.generator = generator
        self.x = x.detach()
        self.blocks = blocks
        self.whole = hasattr(kernel, "sample")  # it keeps its own state, if it has any
        if not self.whole:
            with evaluating(energy):
                self.state = kernel.init(energy, self.x)

    def go(self, n_steps: int) -> Sample:
        """Take n_steps; the info is the last step's."""
        with evaluating(self.energy):
            end, info = self._whole(n_steps) if self.whole else self._steps(n_steps)
        if end.shape != self.x.shape:
            shapes = f"{tuple(self.x.shape)} into {tuple(end.shape)}"
            raise ValueError(f"the sampler turned chains of {shapes}")
        self.x = end.detach()
        return Sample(self.x, info)

    def trace(self, n_steps: int, thin: int) -> Trace:
        """Take n_steps and keep every thin-th state, n_steps // thin in all."""
        if self.blocks is not None:
            return self._trace_blocks(n_steps, thin, self.blocks)
        kept = [self.go(thin) for _ in range(n_steps // thin)]
        if n_steps % thin:
            self.go(n_steps % thin)
        infos = [sample.info for sample in kept]
        return Trace(torch.stack([sample.x for sample in kept]), _stack(infos))

    def _whole(self, n_steps: int) -> tuple[Tensor, Any]:
        result = self.kernel.sample(self.energy, self.x.clone(), n_steps, self.generator)
        return (result[0], result[1]) if isinstance(result, tuple) else (result, None)

    def _steps(self, n_steps: int) -> tuple[Tensor, Any]:
        info = None
        if self.blocks is not None:
            for state, seen in self.blocks.steps(self.state, n_steps, self.generator):
                self.state, info = state, seen[-1][1]
            return self.state.x, info
        for _ in range(n_steps):
            noise = self.kernel.noise(self.state.x, self.generator)
            self.state, info = self.kernel.step(self.energy, self.state, noise)
        return self.state.x, info

    def _trace_blocks(self, n_steps: int, thin: int, blocks: Blocks) -> Trace:
        kept: list[tuple[Tensor, Any]] = []
        step = 0
        with evaluating(self.energy):
            for state, seen in blocks.steps(self.state, n_steps, self.generator):
                self.state = state
                steps = enumerate(seen, start=step + 1)
                kept.extend(one for number, one in steps if number % thin == 0)
                step += len(seen)
        self.x = self.state.x.detach()
        xs, infos = zip(*kept, strict=True)
        return Trace(torch.stack([x.detach() for x in xs]), _stack(list(infos)))


def _stack(infos: list[Any]) -> Any:
    if infos[0] is None:
        return None
    return type(infos[0])(*(torch.stack(field) for field in zip(*infos, strict=True)))
