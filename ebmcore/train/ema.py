"""The moving average of the weights: torch's own, updated without a host sync.

A layer of a spectral norm divides its weight W by uᵀWv, where u and v are buffers that each forward
pass of training moves towards the singular vectors. Those of the weights now are not the average's,
whose norm would be too large by some hundredths, so `Average.settle` gives it its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Average(AveragedModel):
    """θ̄ ← θ̄ + (1 - decay)(θ - θ̄) after each step; the first takes θ, and buffers are copied.

    The numbers are those of torch's AveragedModel, whose update waits for the device at each step.
    Call `settle` before it is used or saved.

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
        self._norms = _spectral_norms(self.module)
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

    def settle(self) -> None:
        """Set the spectral norms to those of the averaged weights, until the next update."""
        _set_singular_vectors(self._norms)


@contextmanager
def averages_in_place(
    networks: Mapping[str, nn.Module], averages: Mapping[str, nn.Module]
) -> Iterator[None]:
    """Put the averaged weights into the networks that chains and samplers hold; restore them after.

    Both modules share their tensors meanwhile.
    """
    held: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for name, average in averages.items():
        network = networks.get(name, average)
        if network is not average:
            now = chain(network.parameters(), network.buffers())
            means = chain(average.parameters(), average.buffers())
            held.extend((t, t.data, mean.data) for t, mean in zip(now, means, strict=True))
    try:
        for tensor, _, mean in held:
            tensor.data = mean
        yield
    finally:
        for tensor, before, _ in held:
            tensor.data = before


def _spectral_norms(module: nn.Module) -> tuple[nn.ModuleList, ...]:
    """Return the parametrizations of weights that begin with torch's spectral norm."""
    lists: Iterable[Any] = (
        each for part in module.modules() for each in getattr(part, "parametrizations", {}).values()
    )
    return tuple(each for each in lists if isinstance(each[0], _SpectralNorm))


@torch.no_grad()
def _set_singular_vectors(norms: Iterable[nn.ModuleList]) -> None:
    """Set u and v to the leading singular vectors, by which W/(uᵀWv) has a norm of 1.

    A weight that isn't finite keeps its own.
    """
    for each in norms:
        norm: Any = each[0]
        weight: Tensor = each.original  # type: ignore[assignment] # torch types it Tensor | Module
        if weight.ndim < 2 or weight.is_meta or not bool(weight.isfinite().all()):
            continue
        matrix = norm._reshape_weight_to_matrix(weight).cpu().double()
        high = len(matrix) > matrix.shape[1]
        gram = matrix.mT @ matrix if high else matrix @ matrix.mT  # the smaller of both
        leading = torch.linalg.eigh(gram).eigenvectors[:, -1]
        u = matrix @ leading if high else leading
        v = leading if high else matrix.mT @ leading
        for buffer, vector in ((norm._u, u), (norm._v, v)):
            buffer.copy_(nn.functional.normalize(vector, dim=0, eps=norm.eps))
