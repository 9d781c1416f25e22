"""Averages gradients over ranks: one flat all-reduce between backward and optimiser.

torch's DistributedDataParallel reduces each gradient from a hook on the node that accumulates it,
arms those hooks in each forward pass, and does not work with `torch.autograd.grad`, as its
documentation says. A training step here is full of both: every step of a sampler is a forward pass
and a `torch.autograd.grad` in x; a loss of the score differentiates through such a gradient, so two
passes reach a parameter; and a compiled step returns its gradients without accumulating them. The
gradient after all passes means the same for every loss, so the ranks average that one; the mean
over equal shares of a batch is the mean over the batch.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from ebmcore.distributed.comm import Ranks

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_FLAGS = 4  # SIGINT, SIGTERM, SIGUSR1, and rank 0's word: a sum of the two below
_LATE, _STOP = 1, 2  # a checkpoint is due by the clock; a callback or a hook stops the run


class SignalFlags(Protocol):
    """The signals that a process received, and those that all ranks agreed on."""

    number: int | None  # the signal that ends the run, agreed on
    save: bool  # whether a checkpoint was requested, agreed on
    received: int | None  # by this process
    received_save: bool
    stopping: str  # why this process asks for the end of the run, as FINISHED
    stopped: str  # the same, agreed on


class GradientSync:
    """Averages gradients and the changes of buffers; the message also carries signals.

    Args:
        ranks: The ranks to average over.
        parameters: The parameters whose gradients are averaged.
        buffers: Float buffers that a forward pass may write to, such as running means. Each rank
            updates them from its share of the batch; every rank then applies the mean change.
        bound: train.clip_grad_norm, for the averaged gradient of each group.
        groups: The parameters whose gradient has a norm, by the name of that metric; by default
            all parameters together.
        interrupts: The signals received, and those agreed on.
        checkpoint_is_late: Whether a checkpoint is due by the clock; rank 0's answer counts.
        flags_on_cpu: Whether flags are reduced on the CPU in a message of their own, so that
            reading them waits for no accelerator.
    """

    def __init__(
        self,
        ranks: Ranks,
        parameters: Sequence[nn.Parameter],
        buffers: Sequence[Tensor],
        *,
        bound: float | None,
        interrupts: SignalFlags,
        groups: Mapping[str, Sequence[nn.Parameter]] | None = None,
        checkpoint_is_late: Callable[[], bool] = lambda: False,
        flags_on_cpu: bool = False,
    ) -> None:
        self.ranks = ranks
        self.parameters = list(parameters)
        self.buffers = [b for b in buffers if b.is_floating_point() and bool(b.isfinite().all())]
        self.bound = bound
        self.groups = groups or {"train/grad_norm": self.parameters}
        self.interrupts = interrupts
        self.checkpoint_is_late = checkpoint_is_late
        self.flags_on_cpu = flags_on_cpu
        self.checkpoint_late = False  # rank 0's answer at the last step
        self._buffers_before: list[Tensor] = []
        synced = [*self.parameters, *self.buffers]
        sizes = [t.numel() for t in synced]
        n_flags = _FLAGS + len(self.parameters)
        dtype = torch.float32
        for tensor in synced:
            dtype = torch.promote_types(dtype, tensor.dtype)
        device = self.parameters[0].device
        size = sum(sizes) + (0 if flags_on_cpu else n_flags)
        self.flat = torch.zeros(size, dtype=dtype, device=device)
        pieces = torch.split(self.flat[: sum(sizes)], sizes)
        self.views = [piece.view(t.shape) for piece, t in zip(pieces, synced, strict=True)]
        self.flags = torch.zeros(n_flags) if flags_on_cpu else self.flat[sum(sizes) :]

    def start_step(self) -> None:
        """Copy the buffers before the step, when they are the same on every rank."""
        self._buffers_before = [buffer.clone() for buffer in self.buffers]

    @torch.no_grad()
    def reduce(self) -> dict[str, Tensor]:
        """Average gradients and buffers, and clip; return each group's norm before clipping, ()."""
        gradients = [parameter.grad for parameter in self.parameters]
        pairs = zip(self.buffers, self._buffers_before, strict=True)
        values = [*gradients, *(now - before for now, before in pairs)]
        for view, value in zip(self.views, values, strict=True):
            if value is None:
                view.zero_()
            else:
                view.copy_(value)
        self.flags.copy_(torch.tensor(self._own_flags(gradients)))
        self.ranks.sum_(self.flat)
        if self.flags_on_cpu:
            self.ranks.sum_(self.flags)
        flags = self.flags.tolist()  # on the CPU either way
        self._apply_flags(flags[:_FLAGS])
        self.flat.div_(self.ranks.size)
        has_gradient = flags[_FLAGS:]
        for parameter, view, given in zip(self.parameters, self.views, has_gradient, strict=False):
            # a view of the flat gradient, which the next step overwrites
            parameter.grad = view.to(parameter.dtype) if given else None
        changes = self.views[len(self.parameters) :]
        for buffer, before, change in zip(self.buffers, self._buffers_before, changes, strict=True):
            buffer.copy_(before + change)
        return {name: clip(group, self.bound) for name, group in self.groups.items()}

    def _own_flags(self, gradients: Sequence[Tensor | None]) -> list[float]:
        received = [float(self.interrupts.received == number) for number in _SIGNALS]
        word = 0
        if self.ranks.rank == 0:
            word = _LATE * self.checkpoint_is_late() + _STOP * bool(self.interrupts.stopping)
        saving = [float(self.interrupts.received_save), float(word)]
        self.interrupts.received_save = False
        return [*received, *saving, *(float(gradient is not None) for gradient in gradients)]

    def _apply_flags(self, flags: Sequence[float]) -> None:
        for number, count in zip(_SIGNALS, flags, strict=False):
            if count:
                self.interrupts.number = number
        self.interrupts.save = self.interrupts.save or bool(flags[2])
        self.checkpoint_late = bool(int(flags[3]) & _LATE)
        if int(flags[3]) & _STOP:
            self.interrupts.stopped = self.interrupts.stopping or "rank 0 stopped the run"


def clip(parameters: Sequence[nn.Parameter], bound: float | None) -> Tensor:
    """Return the norm of the parameters' gradient, and scale it down to a bound if there is one."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if parameters and not gradients:  # of a network that no loss trains
        return torch.zeros((), device=parameters[0].device)
    norm = torch.nn.utils.get_total_norm(gradients)
    if bound is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, bound, norm)
    return norm
