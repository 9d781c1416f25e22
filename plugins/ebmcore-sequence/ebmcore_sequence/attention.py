"""One layer of a pre-norm encoder: h ← h + attend(norm(h)), h ← h + feed(norm(h)).

The attention does not call torch's scaled_dot_product_attention, whose fused kernels have no second
derivative, also on the CPU, where they did not make energies of 128 steps faster.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """softmax(Q Kᵀ / √d) V for each head of size d, over the steps; then a linear layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.split = (3, heads, width // heads)
        self.inputs = nn.Linear(width, 3 * width)
        self.outputs = nn.Linear(width, width)

    def forward(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend from each step to all steps, or to those of a mask, (batch, T).

        Shapes: h (batch, T, width) -> the same; NaN where no step counts.
        """
        query, key, value = self.inputs(h).view(*h.shape[:2], *self.split).permute(2, 0, 3, 1, 4)
        logits = query @ key.mT / math.sqrt(query.shape[-1])
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, None, :], -math.inf)
        weights = torch.softmax(logits, dim=-1)
        gathered: Tensor = self.outputs((weights @ value).transpose(1, 2).flatten(2))
        return gathered


class EncoderLayer(nn.Module):
    """Self-attention, then a network of one hidden layer at each step, each after a LayerNorm.

    Dropout acts on the output of each sub-layer, before it is added to h.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attend = nn.Sequential(
            nn.LayerNorm(width), SelfAttention(width, heads), nn.Dropout(dropout)
        )
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return h after both sub-layers, (batch, T, width), mask (batch, T) -> the same."""
        norm, attention, dropout = self.attend
        h = h + dropout(attention(norm(h), mask))
        fed: Tensor = self.feed(h)
        return h + fed
