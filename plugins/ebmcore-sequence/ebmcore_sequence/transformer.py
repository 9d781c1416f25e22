"""A transformer's encoder as an energy of sequences."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor, nn

from ebmcore import PositiveInt, Space, without_padding
from ebmcore_sequence.attention import EncoderLayer
from ebmcore_sequence.events import as_sequences, mask_of, refuse_less_than_one, sequence_shape
from ebmcore_sequence.tokens import Tokens, number_of_tokens


class Transformer(nn.Module):
    """A pre-norm encoder over the sequence, the mean over its steps, one number.

    h_t = W x_t + b + p_t, then `layers` times h ← h + attention(norm(h)), h ← h + mlp(norm(h)), and
    E(x) = w · mean_t norm(h_t) + c. The mlp has 4 · width hidden units and gelu, which is smooth;
    norm is LayerNorm, over the width of one step of one event.

    p_t are sines and cosines: p_t[2i] = sin(t / 10000^(2i / width)), p_t[2i+1] the cosine. They
    distinguish the steps from the start, where learned positions begin as noise and add T · width
    parameters.

    Shapes: x (batch, T), which is one channel, or (batch, T, C) -> (batch,), nats. Each
    event's energy depends on that event alone, and is infinitely often differentiable in x, on any
    device. Calls with events of another shape raise ValueError. Time and memory grow as T².

    With a mask, (batch, T) bool, E is that of the steps that count, read as a shorter sequence: the
    attention and the mean leave the others out, t counts only those that count, and no number at
    another step changes E. An event without any step that counts has E = NaN.

    In a categorical space x holds tokens, whole numbers from 0 to k - 1, and W x_t is a row of a
    table of k embeddings, or with several channels the sum of a row for each.

    The last norm makes E bounded: exp(-E) has no finite integral over all of space. Keep the chains
    in bounds, or add an energy that grows, such as a Gaussian's.

    Args:
        width: Features of each step.
        layers: Layers, each an attention and an mlp.
        heads: Parts that the width is divided into, each with an attention of its own.
        outputs: Values per event; with more than 1 it is no energy but a net for one that holds it,
            such as `noise_conditional`, and returns (batch, outputs).
        dropout: Share of each sub-layer's output to drop, in train mode only.
        event_shape: (runtime) Shape of one event.
        space: (runtime) The set that events live in; real when not given.

    Source: Vaswani et al. 2017, "Attention is all you need", positions as in its section 3.5; norms
    inside the branches as in Xiong et al. 2020, "On layer normalization in the transformer
    architecture", which makes a warm-up unnecessary.
    """

    check_event_shapes = ((6,), (5, 2))  # ebmcore.testing uses these

    positions: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        width: PositiveInt = 128,
        layers: PositiveInt = 2,
        heads: PositiveInt = 4,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        outputs: PositiveInt = 1,
        space: Space | None = None,
    ) -> None:
        super().__init__()
        refuse_less_than_one(width=width, layers=layers, heads=heads, outputs=outputs)
        if width % heads:
            raise ValueError(f"width should be a multiple of heads, {heads}; got {width}")
        self.event_shape = tuple(event_shape)
        steps, channels = sequence_shape(self.event_shape)
        self.tokens = tokens = number_of_tokens(space)
        self.embed = Tokens(tokens, channels, width) if tokens else nn.Linear(channels, width)
        self.register_buffer("positions", sinusoids(steps, width), persistent=False)
        self.layers = nn.Sequential(*(EncoderLayer(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.outputs = outputs
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the energy of each event, (batch, *event_shape), mask (batch, T) -> (batch,)."""
        sequences = as_sequences("transformer", x, self.event_shape, self.tokens)
        positions = self.positions
        if mask is not None:
            mask = mask_of("transformer", mask, sequences)
            sequences = without_padding(sequences, mask)
            positions = positions[(mask.cumsum(1) - 1).clamp(min=0)]
        h = self.embed(sequences) + positions
        for layer in self.layers:
            h = layer(h, mask)
        pooled = self.norm(h).mean(1) if mask is None else mean_of_steps(self.norm(h), mask)
        energies: Tensor = self.head(pooled)
        return energies.squeeze(1) if self.outputs == 1 else energies


def mean_of_steps(h: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the steps that count, (batch, T, width) -> (batch, width)."""
    return without_padding(h, mask).sum(1) / mask.sum(1, keepdim=True)


def sinusoids(steps: int, width: int) -> Tensor:
    """Return p, (steps, width): sin(t / 10000^(2i / width)) at [t, 2i], the cosine at [t, 2i+1]."""
    rates = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(steps, dtype=torch.float64)[:, None] * rates
    waves = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
    return waves.to(torch.get_default_dtype())
