"""Recurrent networks as energies of sequences: a head on the final hidden states."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ebmcore import PositiveInt, Space, without_padding
from ebmcore_sequence.different_lengths import final_states
from ebmcore_sequence.events import as_sequences, mask_of, refuse_less_than_one, sequence_shape
from ebmcore_sequence.tokens import Tokens, number_of_tokens


class Recurrent(nn.Module):
    """Base class of `LSTM` and `GRU`: E(x) = head(final states of the last layer)."""

    check_event_shapes = ((6,), (5, 2))  # ebmcore.testing uses these shapes and parameters
    check_params: ClassVar[tuple[dict[str, bool], ...]] = ({}, {"bidirectional": False})
    network: ClassVar[type[nn.LSTM] | type[nn.GRU]]

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        hidden: PositiveInt = 128,
        layers: PositiveInt = 2,
        bidirectional: bool = True,
        head_width: PositiveInt = 128,
        embedding: PositiveInt = 32,
        outputs: PositiveInt = 1,
        space: Space | None = None,
    ) -> None:
        super().__init__()
        refuse_less_than_one(
            hidden=hidden,
            layers=layers,
            head_width=head_width,
            embedding=embedding,
            outputs=outputs,
        )
        self.event_shape = tuple(event_shape)
        _, channels = sequence_shape(self.event_shape)
        self.directions = 2 if bidirectional else 1
        self.embed: nn.Module = nn.Identity()
        self.tokens = number_of_tokens(space)
        if self.tokens:
            self.embed = Tokens(self.tokens, channels, embedding)
            channels = embedding
        self.recurrent = self.network(
            channels, hidden, layers, batch_first=True, bidirectional=bidirectional
        )
        self.outputs = outputs
        self.head = nn.Sequential(
            nn.Linear(self.directions * hidden, head_width),
            nn.SiLU(),
            nn.Linear(head_width, outputs),
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the energy of each event, (batch, *event_shape), mask (batch, T) -> (batch,)."""
        name = type(self).__name__.lower()
        sequences = as_sequences(name, x, self.event_shape, self.tokens)
        if mask is None:
            states = self.final_states(self.embed(sequences))
        else:
            mask = mask_of(name, mask, sequences)
            states = final_states(
                self.recurrent, self.embed(without_padding(sequences, mask)), mask
            )
        energies: Tensor = self.head(states)
        return energies.squeeze(1) if self.outputs == 1 else energies

    def final_states(self, sequences: Tensor) -> Tensor:
        """Return the last layer's final state of each direction, concatenated.

        Shapes: (batch, T, C) -> (batch, directions · hidden), forward first. This is not the output
        at the last step, where the backward direction has read only that one step.
        """
        _, final = self.recurrent(sequences)
        states: Tensor = final[0] if isinstance(final, tuple) else final  # an LSTM has cells too
        last = states[-self.directions :]  # of (layers · directions, batch, hidden)
        return last.transpose(0, 1).flatten(1)


class LSTM(Recurrent):
    """A long short-term memory over the sequence, its final states, a small head.

    E(x) = w · silu(W [h⃗_T, h⃖_1] + b) + c, with h⃗_T the last layer's hidden state after reading
    forwards to the end, h⃖_1 that after reading backwards to the beginning.

    Shapes: x (batch, T), which counts as one channel, or (batch, T, C) -> (batch,), nats. Each
    event's energy depends on that event alone, and is infinitely often differentiable in x. Calls
    with events of another shape raise ValueError.

    With a mask, (batch, T) bool, E is that of the steps that count, read as a shorter sequence: no
    number at another step changes it. An event without any step that counts has E = NaN.

    In a categorical space x holds tokens, whole numbers from 0 to k - 1; the network reads a row
    of a table of k embeddings for each, or with several channels the sum of a row for each.

    |h| < 1, so E is bounded: exp(-E) has no finite integral over all of space. Keep the chains in
    bounds, or add an energy that grows, such as a Gaussian's.

    On CUDA, cuDNN's LSTM has no second derivative, and none at all in evaluation mode. ebmcore's
    runs and `sample_chain` turn it off where that matters; elsewhere do so by
    `torch.backends.cudnn.flags(enabled=False)`.

    Args:
        hidden: Width of the state of each direction in each layer.
        layers: Layers, each of which reads the outputs of the one below.
        bidirectional: Whether each layer reads backwards too.
        head_width: Width of the head's hidden layer.
        embedding: Width of the embeddings of tokens; numbers have none.
        outputs: Values per event; with more than 1 it is no energy but a net for one that holds it,
            such as `noise_conditional`, and returns (batch, outputs).
        event_shape: (runtime) Shape of one event.
        space: (runtime) The set that events live in; real when not given.

    Source: Hochreiter and Schmidhuber 1997, "Long short-term memory"; the cell is torch.nn.LSTM's.
    """

    network = nn.LSTM


class GRU(Recurrent):
    """Gated recurrent units over the sequence, their final states, a small head.

    E(x) = w · silu(W [h⃗_T, h⃖_1] + b) + c, with h⃗_T the last layer's hidden state after reading
    forwards to the end, h⃖_1 that after reading backwards to the beginning.

    Shapes: x (batch, T), which counts as one channel, or (batch, T, C) -> (batch,), nats. Each
    event's energy depends on that event alone, and is infinitely often differentiable in x. Calls
    with events of another shape raise ValueError.

    With a mask, (batch, T) bool, E is that of the steps that count, read as a shorter sequence: no
    number at another step changes it. An event without any step that counts has E = NaN.

    In a categorical space x holds tokens, whole numbers from 0 to k - 1; the network reads a row
    of a table of k embeddings for each, or with several channels the sum of a row for each.

    |h| < 1, so E is bounded: exp(-E) has no finite integral over all of space. Keep the chains in
    bounds, or add an energy that grows, such as a Gaussian's.

    On CUDA, cuDNN's GRU has no second derivative, and none at all in evaluation mode. ebmcore's
    runs and `sample_chain` turn it off where that matters; elsewhere do so by
    `torch.backends.cudnn.flags(enabled=False)`.

    Args:
        hidden: Width of the state of each direction in each layer.
        layers: Layers, each of which reads the outputs of the one below.
        bidirectional: Whether each layer reads backwards too.
        head_width: Width of the head's hidden layer.
        embedding: Width of the embeddings of tokens; numbers have none.
        outputs: Values per event; with more than 1 it is no energy but a net for one that holds it,
            such as `noise_conditional`, and returns (batch, outputs).
        event_shape: (runtime) Shape of one event.
        space: (runtime) The set that events live in; real when not given.

    Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation"; the cell is torch.nn.GRU's.
    """

    network = nn.GRU
