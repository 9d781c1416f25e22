"""Draws a kernel's noise for several steps at once: the same numbers as step by step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.errors import GraphError

Noises = tuple[tuple[Tensor, ...], ...]  # a kernel's noise for each step


class BatchedNoise:
    """Draws the noise of several steps of a kernel.

    The first call compares one `torch.randn` for all steps with draws step by step. If the numbers
    and the generator's state after them are the same, later calls use the single `torch.randn`.
    Each step's noise is a tensor of its own: compiled code contains a view's offset, so steps with
    views of one tensor couldn't share their code.

    Args:
        kernel: A `Kernel`.
    """

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self._batches: dict[Any, bool] = {}  # whether one call gives the same, by shape and device

    def __call__(self, x: Tensor, generator: Generator | None, n_steps: int) -> Noises:
        """Return the noise of n_steps from x, (chains, *event).

        Raises GraphError when its shape changes from step to step.
        """
        key = (x.shape, x.dtype, x.device, n_steps)
        if generator is None or not self._batches.get(key, True):
            return self._step_by_step(x, generator, n_steps)
        if key not in self._batches:
            return self._compare(x, generator, n_steps)
        return self._at_once(x, generator, n_steps)

    def _step_by_step(self, x: Tensor, generator: Generator | None, n_steps: int) -> Noises:
        noises = tuple(self.kernel.noise(x, generator) for _ in range(n_steps))
        shapes = {tuple(part.shape for part in noise) for noise in noises}
        if len(shapes) > 1:
            raise GraphError("the shape of its noise changes from step to step")
        return noises

    def _at_once(self, x: Tensor, generator: Generator, n_steps: int) -> Noises:
        shape = (n_steps, *x.shape)
        batch = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
        return tuple((noise,) for noise in batch.unbind())

    def _compare(self, x: Tensor, generator: Generator, n_steps: int) -> Noises:
        """Draw step by step, and record whether one call gives the same."""
        before = generator.get_state()
        noises = self._step_by_step(x, generator, n_steps)
        after = generator.get_state()
        same = all(len(n) == 1 and n[0].shape == x.shape and n[0].dtype == x.dtype for n in noises)
        if same:
            generator.set_state(before)
            batch = self._at_once(x, generator, n_steps)
            pairs = zip(noises, batch, strict=True)
            same = all(torch.equal(a, b) for (a,), (b,) in pairs)
            same = same and torch.equal(after, generator.get_state())
            generator.set_state(after)
        self._batches[(x.shape, x.dtype, x.device, n_steps)] = same
        return noises


def generator_state(generator: Generator | None, x: Tensor) -> Tensor:
    """Return the state of a generator; of None, that of torch's own on the device of x."""
    if generator is not None:
        return generator.get_state()
    if x.device.type in ("cpu", "meta"):
        return torch.get_rng_state()
    state: Tensor = torch.get_device_module(x.device).get_rng_state(x.device)
    return state


def set_generator_state(generator: Generator | None, x: Tensor, state: Tensor) -> None:
    """Set the state that `generator_state` returned."""
    if generator is not None:
        generator.set_state(state)
    elif x.device.type in ("cpu", "meta"):
        torch.set_rng_state(state)
    else:
        torch.get_device_module(x.device).set_rng_state(state, x.device)
