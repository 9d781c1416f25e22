"""Where the ranks meet in a training step: one flat all-reduce between backward and optimiser.

torch's DistributedDataParallel reduces each gradient from a hook on the node that accumulates it,
arms those hooks in each forward pass, and does not work with `torch.autograd.grad`, as its
documentation says. A step of ours is full of both: every step of a sampler is a forward pass and a
`torch.autograd.grad` in x, a loss of the score differentiates through such a gradient, so that a
parameter is reached by two passes, and a compiled step returns its gradients without accumulating
anything. The gradient that is left when all passes are done means the same for every loss, so that
is what is averaged; the mean over equal shares of a batch is the mean over the batch.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from ebmcore.distributed.comm import Ranks

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_FLAGS = 4  # of the signals, of SIGUSR1, and of the clock of rank 0


class SignalFlags(Protocol):
    """The signals that a process received, and those that all ranks agreed on."""

    number: int | None  # the signal that ends the run, agreed on
    save: bool  # whether a checkpoint was asked for, agreed on
    heard: int | None  # by this process
    heard_save: bool


class Meeting:
    """Averages gradients and what buffers changed by; signals and the clock ride along.

    Args:
        ranks: Who meets.
        parameters: Whose gradients are averaged.
        buffers: Float buffers that a forward pass may write to, such as running means. Each rank
            writes what it saw of its share; the mean of the changes is what all go on with.
        bound: train.clip_grad_norm, for the averaged gradient.
        interrupts: Where what the ranks heard, and agreed on, is kept.
        clock: Whether a checkpoint is due by the clock; rank 0's counts.
        aside: Whether flags travel on the CPU, in a message of their own, so that reading them
            waits for no accelerator.
    """

    def __init__(
        self,
        ranks: Ranks,
        parameters: Sequence[nn.Parameter],
        buffers: Sequence[Tensor],
        *,
        bound: float | None,
        interrupts: SignalFlags,
        clock: Callable[[], bool] = lambda: False,
        aside: bool = False,
    ) -> None:
        self.ranks = ranks
        self.parameters = list(parameters)
        self.buffers = [b for b in buffers if b.is_floating_point() and bool(b.isfinite().all())]
        self.bound = bound
        self.interrupts = interrupts
        self.clock = clock
        self.aside = aside
        self.clock_said = False  # whether the ranks agreed that a checkpoint is due by the clock
        self._before: list[Tensor] = []
        held = [*self.parameters, *self.buffers]
        sizes = [t.numel() for t in held]
        flags = _FLAGS + len(self.parameters)
        dtype = torch.float32
        for tensor in held:
            dtype = torch.promote_types(dtype, tensor.dtype)
        device = self.parameters[0].device
        self.flat = torch.zeros(sum(sizes) + (0 if aside else flags), dtype=dtype, device=device)
        pieces = torch.split(self.flat[: sum(sizes)], sizes)
        self.places = [piece.view(t.shape) for piece, t in zip(pieces, held, strict=True)]
        self.flags = torch.zeros(flags) if aside else self.flat[sum(sizes) :]

    def begin(self) -> None:
        """Note the buffers as they are before the step, the same on every rank."""
        self._before = [buffer.clone() for buffer in self.buffers]

    @torch.no_grad()
    def end(self) -> Tensor:
        """Average, and clip the average; return its norm before, (), the same on every rank."""
        gradients = [parameter.grad for parameter in self.parameters]
        changes = zip(self.buffers, self._before, strict=True)
        for place, found in zip(
            self.places, [*gradients, *(now - before for now, before in changes)], strict=True
        ):
            if found is None:
                place.zero_()
            else:
                place.copy_(found)
        self.flags.copy_(torch.tensor(self._say(gradients)))
        self.ranks.sum_(self.flat)
        if self.aside:
            self.ranks.sum_(self.flags)
        said = self.flags.tolist()  # on the CPU either way
        self._hear(said[:_FLAGS])
        self.flat.div_(self.ranks.size)
        for parameter, place, given in zip(
            self.parameters, self.places, said[_FLAGS:], strict=False
        ):
            # a view of the flat gradient, which is written to again by the next step
            parameter.grad = place.to(parameter.dtype) if given else None
        moved = self.places[len(self.parameters) :]
        for buffer, before, change in zip(self.buffers, self._before, moved, strict=True):
            buffer.copy_(before + change)
        return clip(self.parameters, self.bound)

    def _say(self, gradients: Sequence[Tensor | None]) -> list[float]:
        heard = [float(self.interrupts.heard == number) for number in _SIGNALS]
        asked = [float(self.interrupts.heard_save), float(self.ranks.rank == 0 and self.clock())]
        self.interrupts.heard_save = False
        return [*heard, *asked, *(float(gradient is not None) for gradient in gradients)]

    def _hear(self, said: Sequence[float]) -> None:
        for number, count in zip(_SIGNALS, said, strict=False):
            if count:
                self.interrupts.number = number
        self.interrupts.save = self.interrupts.save or bool(said[2])
        self.clock_said = bool(said[3])


def clip(parameters: Sequence[nn.Parameter], bound: float | None) -> Tensor:
    """Return the norm of the parameters' gradient, and scale it down to a bound if there is one."""
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if bound is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, bound, norm)
    return norm
