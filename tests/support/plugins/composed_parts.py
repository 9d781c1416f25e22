"""Parts made of other parts; the core's tests load it as a plugin."""

import torch
from torch import nn

from ebmcore import Energy, Kernel, dataset, energy, loss, sampler


@energy
class total(nn.Module):  # noqa: N801
    """Σ wᵢ Eᵢ: a product of experts.

    Args:
        terms: The energies that are added.
        weights: Their factors; 1 by default.
    """

    revision = "7"

    def __init__(self, terms: list[Energy], *, weights: list[float] | None = None):
        super().__init__()
        self.terms = nn.ModuleList(terms)
        self.weights = weights or [1.0] * len(terms)

    def forward(self, x):
        return sum(w * term(x) for w, term in zip(self.weights, self.terms, strict=True))


@energy
class scaled(nn.Module):  # noqa: N801
    """E / T of another energy."""

    def __init__(self, of: nn.Module, *, temperature: float = 1.0):
        super().__init__()
        self.of = of
        self.temperature = temperature

    def forward(self, x):
        return self.of(x) / self.temperature


@loss
class distance(nn.Module):  # noqa: N801
    """(E - E_teacher)² on the data, the teacher held constant."""

    def __init__(self, teacher: Energy, other: Energy | None = None):
        super().__init__()
        self.teacher = teacher
        self.other = other

    def forward(self, energy, x):
        return (energy(x) - self.teacher(x).detach()).square().mean()


@sampler
class twice(Kernel):  # noqa: N801
    """Two steps of another kernel."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel


@dataset
class pair:  # noqa: N801
    """Two datasets' points."""

    def __call__(self):
        return torch.randn(50, 2)
