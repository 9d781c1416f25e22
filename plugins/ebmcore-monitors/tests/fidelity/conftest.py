import pytest
import torch
from ebmcore_monitors.fidelity import judge

from ebmcore import RunView


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    """Train classifiers for 30 steps, which are enough for points that are far apart."""
    monkeypatch.setattr(judge, "STEPS", 30)


def drawn(n, seed):
    """Draw points of three classes, 8×8, whose means differ in a third of the pixels each."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=generator)
    means = 2 * torch.nn.functional.one_hot(torch.arange(64) % 3).T.reshape(3, 8, 8)
    return means[y] + torch.randn((n, 8, 8), generator=generator), y


@pytest.fixture
def points():
    """Return a function that draws n points and their labels by a seed."""
    return drawn


@pytest.fixture
def seen():
    """Return a function that makes a view with these samples, data and labels as keys."""

    def view(samples, **other):
        (x, y), (held_out, held_out_y) = drawn(400, 0), drawn(150, 1)
        keys = {"data": x, "data_y": y, "held_out": held_out, "held_out_y": held_out_y}
        return RunView(
            energy=torch.nn.Identity(),
            generator=torch.Generator().manual_seed(0),
            draw=lambda n, n_steps: samples(n) if callable(samples) else samples[:n],
            **keys | other,
        )

    return view
