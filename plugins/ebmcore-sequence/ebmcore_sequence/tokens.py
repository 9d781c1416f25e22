"""Tokens: the whole numbers of a categorical space, as vectors that are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ebmcore import Categorical, Space


class Tokens(nn.Module):
    """h_t = Σ_c W_c[x_tc]: a table of `tokens` rows for each channel, and the sum of those chosen.

    It is a linear layer on the one-hot tokens, which it takes, too. Shapes: x (batch, T, C), whole
    numbers from 0 to tokens - 1, or (batch, T, C, tokens) -> (batch, T, width).
    """

    first: Tensor

    def __init__(self, tokens: int, channels: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens * channels, width)
        self.register_buffer("first", tokens * torch.arange(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors of the steps."""
        if x.ndim == 4:
            return x.to(self.table.weight.dtype).flatten(2) @ self.table.weight
        rows: Tensor = self.table(x.long() + self.first)
        return rows.sum(2)


def number_of_tokens(space: Space | None) -> int:
    """Return k of a categorical space, and 0 of any other."""
    return space.k if isinstance(space, Categorical) else 0
