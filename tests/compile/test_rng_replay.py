"""Draws of a part are recorded once and drawn again, in order, from the streams they came from."""

import pytest
import torch

from ebmcore.compile.rng_replay import RngRecorder, RngReplay, RngScript
from ebmcore.errors import GraphError


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def draws(one, other):
    return [
        torch.randn(3, generator=one, dtype=torch.float64),
        torch.rand(2, generator=other),
        torch.randint(9, (4,), generator=one),
    ]


def test_recorded_draws_are_drawn_again_in_order():
    one, other = seeded(1), seeded(2)
    with RngRecorder() as recorder:
        draws(one, other)
    script = RngScript.of(recorder, {"one": one, "other": other})
    assert [name for _, name in script.calls] == ["one", "other", "one"]
    again = {"one": seeded(3), "other": seeded(4)}
    found = script.draw(again.__getitem__)
    expected = draws(seeded(3), seeded(4))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    with RngReplay(found) as replay:
        assert all(map(torch.equal, draws(one, other), expected))
        with pytest.raises(GraphError, match="more often than in the recorded step"):
            torch.rand(1, generator=one)
    assert replay.used == 3
    torch.rand(1, generator=one)


@pytest.mark.parametrize(
    ("draw", "why"),
    [
        (lambda g: torch.normal(torch.zeros(3), 1.0, generator=g), "it draws by normal"),
        (lambda g: torch.multinomial(torch.ones(3), 1, generator=g), "it draws by multinomial"),
        (lambda g: torch.randn(2, generator=g, out=torch.empty(2)), "depends on more than shapes"),
        (lambda g: torch.rand(2, generator=seeded(0)), "a generator of its own"),
    ],
)
def test_draws_that_cannot_be_replayed(draw, why):
    with RngRecorder() as recorder:
        draw(stream := seeded(1))
    with pytest.raises(GraphError, match=why):
        RngScript.of(recorder, {"stream": stream})
