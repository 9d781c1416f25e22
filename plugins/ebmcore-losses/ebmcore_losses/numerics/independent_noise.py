"""The noise of bits and of categories that noise-contrastive estimation compares the data with."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from ebmcore_losses.numerics.precision import widest

_AT_ONCE = 2**16  # events that are counted at once


class IndependentNoise(nn.Module):
    """Independent numbers from 0 to k - 1, of flattened events, each with a law of its own.

    Shapes: log_p (elements, k), log p of each value, in nats.
    """

    log_p: Tensor

    def __init__(self, log_p: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("log_p", log_p)
        self.is_whole = not dtype.is_floating_point

    @classmethod
    def fitted(cls, data: Tensor, k: int, *, uniform: float) -> IndependentNoise:
        """Fit to data, (n, *event), bits in floats or categories in whole numbers.

        Each number takes a value as often as it does in the data, and with probability `uniform`
        any. Raises ValueError when a value has no probability all the same.
        """
        if uniform > 1:
            raise ValueError(
                f"ridge is a probability of bits and categories, at most 1; got {uniform:g}"
            )
        flat = data.flatten(1)
        counts = torch.zeros(flat.shape[1], k, device=flat.device, dtype=widest(flat.device))
        for rows in torch.split(flat, _AT_ONCE):
            values = rows.T.long()
            counts.scatter_add_(1, values, counts.new_ones(()).expand(values.shape))
        p = (1 - uniform) * counts / len(flat) + uniform / k
        if not p.is_meta and not bool((p > 0).all()):
            raise ValueError(
                "a value that doesn't occur in the training data has no probability under noise "
                "that is fitted to them; raise `ridge`"
            )
        floats = data.dtype if data.is_floating_point() else torch.get_default_dtype()
        return cls(p.log().to(floats), data.dtype)

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, elements)."""
        ends = self.log_p.exp().cumsum(1)[:, :-1].contiguous()
        shape = (len(ends), n)
        uniform = torch.rand(shape, generator=generator, device=ends.device, dtype=ends.dtype)
        values = torch.searchsorted(ends, uniform, right=True).T
        return values if self.is_whole else values.to(ends.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (n, elements) -> (n,). Raises ValueError for other events."""
        if x.shape[1:] != self.log_p.shape[:1]:
            raise ValueError(
                f"the noise was built for events of {len(self.log_p)} elements; got {x.shape[1]}"
            )
        numbers = torch.arange(len(self.log_p), device=x.device)
        return self.log_p[numbers, x.long()].sum(1)

    def entropy(self) -> Tensor:
        """Return -Σ p log p of all numbers, in nats, ()."""
        return -(self.log_p.exp() * self.log_p).sum()
