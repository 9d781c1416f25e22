"""The moving average of the weights: torch's own, updated without a host sync."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Average(AveragedModel):
    """θ̄ ← θ̄ + (1 - decay)(θ - θ̄) after each step; the first takes θ, and buffers are copied.

    The numbers are those of torch's AveragedModel, whose update waits for the device at each step.

    Args:
        energy: The module whose weights are averaged.
        decay: Share of the average that each step keeps.
    """

    n_averaged: torch.Tensor

    def __init__(self, energy: nn.Module, decay: float) -> None:
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call] # torch's own
        super().__init__(energy, multi_avg_fn=average)
        self.n_averaged = self.n_averaged.cpu()
        self._share = 1 - decay
        weights = zip(self.module.parameters(), energy.parameters(), strict=True)
        buffers = zip(self.module.buffers(), energy.buffers(), strict=True)
        # tuples, which a module does not register as its own weights
        self._weights = [(mean.detach(), now.detach()) for mean, now in weights]
        self._buffer_pairs = list(buffers)
        self._foreach = all(now.is_floating_point() for _, now in self._weights)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Update the average with the current weights."""
        if not self._foreach or int(self.n_averaged) == 0:
            super().update_parameters(model)
            return
        means, now = map(list, zip(*self._weights, strict=True))
        torch._foreach_lerp_(means, now, self._share)
        for mean, buffer in self._buffer_pairs:
            mean.copy_(buffer)
        self.n_averaged += 1
