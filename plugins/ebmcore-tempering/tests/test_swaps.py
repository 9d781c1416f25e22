"""Swaps by enumeration: detailed balance of each round, to rounding, and swaps by hand."""

import itertools

import pytest
import torch
from ebmcore_tempering import swap

ENERGIES = torch.tensor([0.0, 0.7, 2.1], dtype=torch.float64)  # of the three states
BETAS = torch.tensor([1.0, 0.6, 0.25, 0.1], dtype=torch.float64)
STATES = list(itertools.product(range(3), repeat=len(BETAS)))  # of all replicas


def law():
    """Return Π_k exp(-β_k E(x_k)) / Z of each joint state."""
    weights = torch.stack([(-BETAS * ENERGIES[list(state)]).exp().prod() for state in STATES])
    return weights / weights.sum()


def transitions(turn):
    """Return the exact transition matrix of one round: each pair swaps, or stays, on its own."""
    matrix = torch.zeros(len(STATES), len(STATES), dtype=torch.float64)
    place = {state: i for i, state in enumerate(STATES)}
    betas, turn = BETAS[None], torch.tensor([turn])
    pairs = len(BETAS) - 1
    mine = [pair for pair in range(pairs) if (pair + int(turn)) % 2 == 0]
    for state in STATES:
        energies = ENERGIES[list(state)][None]
        for kept in itertools.product([False, True], repeat=len(mine)):
            uniform = torch.zeros(1, pairs, dtype=torch.float64)
            uniform[0, [pair for pair, stays in zip(mine, kept, strict=True) if stays]] = 1.0
            source, rates = swap(energies, betas, turn, uniform)
            chances = [
                1 - rates[0, p] if s else rates[0, p] for p, s in zip(mine, kept, strict=True)
            ]
            end = tuple(state[i] for i in source[0].tolist())
            matrix[place[state], place[end]] += torch.stack(chances).prod()
    return matrix


@pytest.mark.parametrize("turn", [0, 1])
def test_each_round_is_in_detailed_balance(turn):
    matrix, pi = transitions(turn), law()
    torch.testing.assert_close(matrix.sum(1), torch.ones_like(pi), atol=1e-12, rtol=0)
    flow = pi[:, None] * matrix
    torch.testing.assert_close(flow, flow.T, atol=1e-12, rtol=0)
    torch.testing.assert_close(pi @ matrix, pi, atol=1e-12, rtol=0)
    assert float((1 - matrix.diagonal()).max()) > 0.5  # they do swap


def test_a_round_by_hand():
    energies = torch.tensor([[3.0, 1.0, 1.0, 2.0], [1.0, 3.0, 4.0, 0.0]], dtype=torch.float64)
    uniform = torch.tensor([[0.9, 0.0, 0.9]] * 2, dtype=torch.float64)
    source, rates = swap(energies, BETAS.expand(2, 4), torch.tensor([0, 1]), uniform)
    expected = [[1.0, 1.0, (0.15 * -1)], [0.4 * -2, 0.35 * -1, 1.0]]
    expected = [
        [1.0 if r == 1.0 else float(torch.tensor(r).exp()) for r in row] for row in expected
    ]
    torch.testing.assert_close(
        rates, torch.tensor(expected, dtype=torch.float64), atol=1e-7, rtol=0
    )
    assert source.tolist() == [[1, 0, 2, 3], [0, 2, 1, 3]]


def test_energies_that_give_no_number_stay():
    energies = torch.tensor([[torch.inf, torch.inf, 1.0], [torch.nan, 0.0, torch.inf]])
    source, rates = swap(energies, BETAS[:3].expand(2, 3).float(), torch.tensor([0, 1]), rates_0())
    assert rates.tolist() == [[0.0, 1.0], [0.0, 0.0]]
    assert source.tolist() == [[0, 1, 2], [0, 1, 2]]


def rates_0():
    return torch.zeros(2, 2)
