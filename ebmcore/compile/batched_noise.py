"""A kernel's noise for several steps at once, the same numbers as step by step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.errors import GraphError

Noises = tuple[tuple[Tensor, ...], ...]  # what a kernel draws for each step


class Noise:
    """Draws what a kernel's steps need.

    When one `torch.randn` for all steps was seen to give the same numbers as step by step, and to
    leave the generator at the same place, it is that call. Each step's stays a tensor of its own:
    where in a larger one it begins would be written into the code of its step, and no step's code
    could serve another.

    Args:
        kernel: A `Kernel`.
    """

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self._at_once: dict[Any, bool] = {}  # by what the noise depends on

    def __call__(self, x: Tensor, generator: Generator | None, n_steps: int) -> Noises:
        """Return the noise of n_steps from x, (chains, *event).

        Raises GraphError when it isn't of one shape at every step.
        """
        sort = (x.shape, x.dtype, x.device, n_steps)
        if generator is None or not self._at_once.get(sort, True):
            return self._one_by_one(x, generator, n_steps)
        if sort not in self._at_once:
            return self._compared(x, generator, n_steps)
        return self._whole(x, generator, n_steps)

    def _one_by_one(self, x: Tensor, generator: Generator | None, n_steps: int) -> Noises:
        noises = tuple(self.kernel.noise(x, generator) for _ in range(n_steps))
        shapes = {tuple(part.shape for part in noise) for noise in noises}
        if len(shapes) > 1:
            raise GraphError("its noise has another shape from one step to the next")
        return noises

    def _whole(self, x: Tensor, generator: Generator, n_steps: int) -> Noises:
        shape = (n_steps, *x.shape)
        whole = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
        return tuple((noise,) for noise in whole.unbind())

    def _compared(self, x: Tensor, generator: Generator, n_steps: int) -> Noises:
        """Draw step by step; find out whether one call would have come to the same."""
        before = generator.get_state()
        noises = self._one_by_one(x, generator, n_steps)
        after = generator.get_state()
        same = all(len(n) == 1 and n[0].shape == x.shape and n[0].dtype == x.dtype for n in noises)
        if same:
            generator.set_state(before)
            whole = self._whole(x, generator, n_steps)
            pairs = zip(noises, whole, strict=True)
            same = all(torch.equal(a, b) for (a,), (b,) in pairs)
            same = same and torch.equal(after, generator.get_state())
            generator.set_state(after)
        self._at_once[(x.shape, x.dtype, x.device, n_steps)] = same
        return noises


def position(generator: Generator | None, x: Tensor) -> Tensor:
    """Return where a generator is, or torch's own of the device of x."""
    if generator is not None:
        return generator.get_state()
    if x.device.type in ("cpu", "meta"):
        return torch.get_rng_state()
    state: Tensor = torch.get_device_module(x.device).get_rng_state(x.device)
    return state


def put_back(generator: Generator | None, x: Tensor, position: Tensor) -> None:
    """Put a generator, or torch's own of the device of x, where it was."""
    if generator is not None:
        generator.set_state(position)
    elif x.device.type in ("cpu", "meta"):
        torch.set_rng_state(position)
    else:
        torch.get_device_module(x.device).set_rng_state(position, x.device)
