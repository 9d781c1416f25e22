"""Recurrent layers over sequences of different length, in one batch without packing.

The steps that count go to the front, in their order. A layer that reads forwards meets the rest
after its last step, and one that reads backwards reads the steps that count in reverse, so that no
state depends on the rest. Unlike `pack_padded_sequence` this copies no length to the host.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def final_states(network: nn.RNNBase, sequences: Tensor, mask: Tensor) -> Tensor:
    """Return the last layer's final state of each direction, concatenated; forward first.

    Shapes: sequences (batch, T, C), mask (batch, T) bool, true at the steps that count
    -> (batch, directions · hidden), NaN where no step counts. The state of an event is that of its
    steps that count alone, if the others hold finite numbers.
    """
    order = torch.argsort(~mask, dim=1, stable=True)
    steps = _picked(sequences, order)
    lengths = mask.sum(1)
    places = torch.arange(mask.shape[1], device=mask.device)
    backwards = (lengths[:, None] - 1 - places) % mask.shape[1]  # its own inverse, up to the length
    last = (lengths - 1).clamp(min=0)[:, None]
    finals: list[Tensor] = []
    for layer in range(network.num_layers):
        outputs = [_read(network, steps, layer, "")]
        finals = [_picked(outputs[0], last).squeeze(1)]
        if network.bidirectional:
            backward = _read(network, _picked(steps, backwards), layer, "_reverse")
            finals.append(_picked(backward, last).squeeze(1))
            outputs.append(_picked(backward, backwards))
        steps = torch.cat(outputs, 2)
    states = torch.cat(finals, 1)
    return torch.where(lengths[:, None] > 0, states, torch.nan)


def _picked(steps: Tensor, places: Tensor) -> Tensor:
    """Return steps of each event, (batch, T, C), by their places, (batch, picked)."""
    return steps.gather(1, places[..., None].expand(-1, -1, steps.shape[2]))


def _read(network: nn.RNNBase, steps: Tensor, layer: int, direction: str) -> Tensor:
    """Return the outputs, (batch, T, hidden), of one direction of a layer, from a state of 0."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = [getattr(network, f"{name}_l{layer}{direction}") for name in names]
    zeros = steps.new_zeros((1, len(steps), network.hidden_size))
    # biases, layers, dropout, training, bidirectional, batch_first
    settings = (True, 1, 0.0, network.training, False, True)
    if isinstance(network, nn.LSTM):
        output: Tensor = torch.lstm(steps, (zeros, zeros), weights, *settings)[0]
    else:
        output = torch.gru(steps, zeros, weights, *settings)[0]
    return output
