"""Parts of which some steps go wrong, and some remember a step; the tests of skips load them."""

import torch
from torch import nn

from ebmcore import dataset, energy, loss, sampler


@dataset
def ones(*, n: int = 200):
    """Be the same everywhere."""
    return torch.ones(n, 2)


@dataset
def some_far(*, n: int = 200):
    """Lie near, but for every fourth point."""
    return torch.ones(n, 2) * torch.where(torch.arange(n) % 4 == 0, 20.0, 0.5)[:, None]


@energy
class steep(nn.Module):  # noqa: N801
    """E(x) = exp(w²) Σ x², which soon is no number."""

    def __init__(self, event_shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(event_shape))

    def forward(self, x):
        return self.weight.square().sum().exp() * x.square().flatten(1).sum(1)


@loss
def grows(energy):
    """-Σ w: each step of SGD adds the learning rate to each weight."""
    return -sum(p.sum() for p in energy.parameters())


@loss
def only_samples(x_neg):
    """Ask for samples, and for nothing of their energy."""
    return 0 * x_neg.sum()


@sampler
class adapts:  # noqa: N801
    """A sampler that counts its calls, and remembers the last noise."""

    def __init__(self):
        self.calls, self.noise = 0, torch.zeros(2)

    def __call__(self, energy, x, generator):
        self.calls += 1
        self.noise = torch.randn(2, generator=generator)
        return x + 0.1 * self.noise

    def state_dict(self):
        return {"calls": self.calls, "noise": self.noise}

    def load_state_dict(self, state):
        self.calls, self.noise = state["calls"], state["noise"]


@loss
class totals:  # noqa: N801
    """A loss that counts its calls, is handed the chains, and is NaN at some steps."""

    def __init__(self, *, at: list[int] = []):  # noqa: B006
        self.at, self.calls = at, 0

    def __call__(self, energy, x, chains, step):
        self.calls += 1
        return energy(x).mean() * (float("nan") if step in self.at else 1.0)

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]


@loss
def far_is_wrong(energy, x, x_neg):
    """Be NaN where a batch reaches beyond 10, with no look at a number."""
    wrong = torch.where(x.amax() > 10, float("nan"), 1.0)
    return wrong * (energy(x).mean() - energy(x_neg).mean())


@energy
class normed(nn.Module):  # noqa: N801
    """A network with running means."""

    def __init__(self, event_shape):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(event_shape[0], 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0)
        )

    def forward(self, x):
        return self.layers(x)


@loss
def hoards(energy, x, step, *, at: int = 3, size: int = 10**15):
    """Ask for more memory than there is, at a step."""
    return energy(x).mean() + (torch.zeros(size).sum() if step == at else 0.0)
