"""Parts that need an energy, labels or noise levels to be checked with, and their faults."""

import torch
from kit_faults.fault import Fault
from torch import nn
from torch.nn import functional


class Classifier(nn.Module):
    """E(x) = -log Σ exp f(x)ₖ, of the logits f."""

    def __init__(self, event_shape, classes=3):
        super().__init__()
        self.net = nn.Linear(torch.Size(event_shape).numel(), classes)

    def logits(self, x):
        return self.net(x.flatten(1))

    def forward(self, x):
        return -self.logits(x).logsumexp(1)


def labelled(n, event_shape, generator):
    x = torch.randn((n, *event_shape), generator=generator)
    return x, torch.randint(3, (n,), generator=generator)


def cross_entropy(energy, x, y):
    """A right one."""
    return functional.cross_entropy(energy.logits(x), y)


cross_entropy.check_energy = Classifier
cross_entropy.check_batch = labelled


def cross_entropy_that_is_cut(energy, x, y):
    return cross_entropy(energy, x, y).detach() + 0 * energy(x).mean()


def cross_entropy_of_each(energy, x, y):
    return functional.cross_entropy(energy.logits(x), y, reduction="none")


def cross_entropy_that_scales_x(energy, x, y):
    return cross_entropy(energy, x.mul_(2), y)


for wrong in (cross_entropy_that_is_cut, cross_entropy_of_each, cross_entropy_that_scales_x):
    wrong.check_energy, wrong.check_batch = Classifier, labelled


class Levels(nn.Module):
    """E(x, t) = ½ w ‖x‖² / t²."""

    def __init__(self):
        super().__init__()
        self.width = nn.Parameter(torch.tensor(1.3))

    def forward(self, x, t):
        return 0.5 * self.width * x.square().flatten(1).sum(1) / t**2


def at_levels(energy, x, generator):
    """A right one: denoising at noise levels of its own."""
    t = 0.5 + torch.rand(len(x), generator=generator, dtype=x.dtype)
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    noised = (x + t[:, None] * noise).detach().requires_grad_()
    (slope,) = torch.autograd.grad(energy(noised, t).sum(), noised, create_graph=True)
    return 0.5 * (t[:, None] * slope - noise).square().sum(1).mean()


at_levels.check_energy = Levels


def at_levels_without_create_graph(energy, x):
    noised = x.detach().requires_grad_()
    t = torch.ones(len(x), dtype=x.dtype)
    (slope,) = torch.autograd.grad(energy(noised, t).sum(), noised)
    return slope.square().mean() + 0 * energy(x, t).mean()


at_levels_without_create_graph.check_energy = Levels


def improved_by_steps(energy, x, sampler, generator):
    """A right one that runs the sampler on an energy of its own."""
    end = sampler(energy, x, generator).x
    return (energy(x) * (end.shape == x.shape)).square().mean()


improved_by_steps.check_energy = Classifier
improved_by_steps.shift_invariant = False


class Joint(nn.Module):
    """A right energy E(x, y), which check_batch gives labels."""

    check_batch = staticmethod(labelled)

    def __init__(self, event_shape):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(torch.Size(event_shape).numel(), 8), nn.SiLU())
        self.out = nn.Linear(8, 3)

    def logits(self, x):
        return self.out(self.net(x.flatten(1)))

    def forward(self, x, y):
        return -self.logits(x).gather(1, y[:, None])[:, 0]


class JointOfAnothersLabel(Joint):
    def forward(self, x, y):
        return super().forward(x, y.roll(1))


class JointOfAllLabels(Joint):
    def forward(self, x, y):
        return super().forward(x, y) + y.double().mean()


class Accuracy:
    """A right monitor that looks at logits."""

    check_energy = Classifier

    def __call__(self, view):
        with torch.no_grad():
            return {"confidence": view.energy.logits(view.data).softmax(1).amax(1).mean()}


class AccuracyOfEach(Accuracy):
    def __call__(self, view):
        return {"confidence": view.energy.logits(view.data).detach().softmax(1).amax(1)}


FAULTS = (
    Fault("loss", cross_entropy_that_is_cut, "gradient", cross_entropy),
    Fault("loss", cross_entropy_of_each, "scalar", cross_entropy),
    Fault("loss", cross_entropy_that_scales_x, "inputs_untouched", cross_entropy),
    Fault("loss", at_levels_without_create_graph, "gradient", at_levels),
    Fault("energy", JointOfAnothersLabel, "independence", Joint),
    Fault("energy", JointOfAllLabels, "batch_size", Joint),
    Fault("monitor", AccuracyOfEach, "results", Accuracy),
)
RIGHT = (("loss", improved_by_steps),)
