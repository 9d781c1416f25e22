"""A walk: chains that carry their kernel's state from one call to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from ebmcore.contracts import Carried, Energy, Sample, Start, Trace
from ebmcore.sampling.conditions import of_chains
from ebmcore.sampling.energy_checks import evaluating
from ebmcore.sampling.slots import carried_by, carried_on, init_state, takes_carried

if TYPE_CHECKING:
    from ebmcore.compile.chains import CompiledKernel


class Walk:
    """Runs a kernel on an energy; the kernel's state is made once and kept between calls.

    Args:
        kernel: A `Kernel`, or an object with its own loop, `sample`.
        energy: Any callable, (chains, *event) -> (chains,).
        start: Start points, (chains, *event), or a `Start`, whose conditions are bound.
        generator: The only source of randomness; None: torch's global one.
        compiled: The same kernel on the same energy, compiled.
        n_steps: The steps that will be taken in all.
    """

    def __init__(
        self,
        kernel: Any,
        energy: Energy,
        start: Tensor | Start,
        generator: Generator | None,
        compiled: CompiledKernel | None = None,
        *,
        n_steps: int,
    ) -> None:
        self.kernel = kernel
        start = start if isinstance(start, Start) else Start(start)
        self.energy = energy = of_chains(energy, start.conditions)
        self.generator = generator
        self.x = start.x.detach()
        self.compiled = compiled
        self.has_own_loop = hasattr(kernel, "sample")
        self.carried = carried_by(start) if takes_carried(kernel) else None
        if not self.has_own_loop:
            with evaluating(energy):
                self.state = init_state(
                    kernel,
                    energy,
                    self.x,
                    generator=generator,
                    n_steps=n_steps,
                    carried=self.carried,
                )

    def go(self, n_steps: int) -> Sample:
        """Take n_steps; the info is the last step's."""
        with evaluating(self.energy):
            end, info, carried = (
                self._own_loop(n_steps) if self.has_own_loop else self._steps(n_steps)
            )
        if end.shape != self.x.shape:
            shapes = f"{tuple(self.x.shape)} into {tuple(end.shape)}"
            raise ValueError(f"the sampler turned chains of {shapes}")
        self.x = end.detach()
        return Sample(self.x, info, carried)

    def trace(self, n_steps: int, thin: int) -> Trace:
        """Take n_steps and return every thin-th state, n_steps // thin in all."""
        if self.compiled is not None:
            return self._trace_compiled(n_steps, thin, self.compiled)
        kept = [self.go(thin) for _ in range(n_steps // thin)]
        if n_steps % thin:
            self.go(n_steps % thin)
        infos = [sample.info for sample in kept]
        return Trace(torch.stack([sample.x for sample in kept]), _stack(infos))

    def _own_loop(self, n_steps: int) -> Sample:
        sample = own_loop(
            self.kernel, self.energy, self.x.clone(), n_steps, self.generator, self.carried
        )
        if self.carried is not None:
            self.carried = carried_by(Start(self.x, carried=sample.carried))
        return sample

    def _steps(self, n_steps: int) -> Sample:
        info = None
        if self.compiled is not None:
            for state, states in self.compiled.run(self.state, n_steps, self.generator):
                self.state, info = state, states[-1][1]
            return self._sample(info)
        for _ in range(n_steps):
            noise = self.kernel.noise(self.state.x, self.generator)
            self.state, info = self.kernel.step(self.energy, self.state, noise)
        return self._sample(info)

    def _sample(self, info: Any) -> Sample:
        return Sample(self.state.x, info, carried_on(self.kernel, self.state))

    def _trace_compiled(self, n_steps: int, thin: int, compiled: CompiledKernel) -> Trace:
        kept: list[tuple[Tensor, Any]] = []
        step = 0
        with evaluating(self.energy):
            for state, states in compiled.run(self.state, n_steps, self.generator):
                self.state = state
                steps = enumerate(states, start=step + 1)
                kept.extend(one for number, one in steps if number % thin == 0)
                step += len(states)
        self.x = self.state.x.detach()
        xs, infos = zip(*kept, strict=True)
        return Trace(torch.stack([x.detach() for x in xs]), _stack(list(infos)))


def own_loop(
    kernel: Any,
    energy: Energy,
    x: Tensor,
    n_steps: int,
    generator: Generator | None,
    carried: Carried | None,
) -> Sample:
    """Call a sampler's own `sample`, with `carried` if it names it."""
    if takes_carried(kernel):
        result = kernel.sample(energy, x, n_steps, generator, carried=carried)
    else:
        result = kernel.sample(energy, x, n_steps, generator)
    if isinstance(result, Sample):
        return result
    return Sample(result[0], result[1]) if isinstance(result, tuple) else Sample(result)


def _stack(infos: list[Any]) -> Any:
    if infos[0] is None:
        return None
    return type(infos[0])(*(torch.stack(field) for field in zip(*infos, strict=True)))
