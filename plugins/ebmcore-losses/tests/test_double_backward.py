"""Losses that differentiate the score, on recurrent and attention energies, by differences."""

import pytest
import torch
from ebmcore_losses import (
    DenoisingScoreMatching,
    gradient_penalty,
    score_matching,
    sliced_score_matching,
)
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel


class Recurrent(nn.Module):
    """A bidirectional LSTM, read out at both directions' final states."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 3, batch_first=True, bidirectional=True)
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        _, (hidden, _) = self.lstm(x)
        return self.head(hidden.transpose(0, 1).flatten(1)).squeeze(1)


class Attention(nn.Module):
    """One pre-norm attention block, mean-pooled."""

    def __init__(self):
        super().__init__()
        self.lift = nn.Linear(1, 4)
        self.block = nn.TransformerEncoderLayer(
            4, 2, 6, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.block(self.lift(x)).mean(1)).squeeze(1)


LOSSES = {
    "score_matching": lambda energy, x, generator: score_matching(energy, x),
    "sliced_score_matching": lambda energy, x, generator: sliced_score_matching(
        energy, x, generator, projections=2
    ),
    "denoising_score_matching": DenoisingScoreMatching(sigma=0.3),
    "gradient_penalty": lambda energy, x, generator: gradient_penalty()(energy, x),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("build", [Recurrent, Attention])
def test_gradient_by_differences(tools, build, name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        energy = build().double()
    x = torch.randn(3, 4, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with sdpa_kernel(SDPBackend.MATH):  # as the runner does; flash attention has no second backward
        tools.assert_gradient_is_that_of_differences(
            lambda: LOSSES[name](energy, x, torch.Generator().manual_seed(2)),
            list(energy.parameters()),
        )


def test_losses_that_differentiate_the_score_declare_it():
    assert all(
        loss.order == 2
        for loss in (
            score_matching,
            sliced_score_matching,
            DenoisingScoreMatching,
            gradient_penalty(),
            gradient_penalty(at_samples=True),
        )
    )
    assert score_matching.needs_curvature
    assert sliced_score_matching.needs_curvature
    assert not hasattr(DenoisingScoreMatching, "needs_curvature")
