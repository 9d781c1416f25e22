"""A trial's values in a few words."""

import pytest
from ebmcore_sweep.search.label import label


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optimizer.lr": 0.0123456, "train.steps": 20}, "lr=0.01235 steps=20"),
        ({"sampler.type": "mala", "sampler.step_size": 0.5}, "sampler=mala step_size=0.5"),
        ({"a.sigma": 1.0, "b.sigma": 2.0}, "a.sigma=1 b.sigma=2"),
        ({"loss.0": {"type": "sliced", "p": 1}, "loss.1.on": True}, "loss.0=sliced on=true"),
        ({"energy.hidden": [128] * 9}, "hidden=[128, 128, 128, 128…"),
        ({}, ""),
    ],
)
def test_values_read_as_their_last_words(values, words):
    assert label(values) == words
