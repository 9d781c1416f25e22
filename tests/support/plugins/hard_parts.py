"""Parts that go wrong in the ways that parts go wrong; the core's tests load it as a plugin."""

import torch
from torch import nn

from ebmcore import Chains, chains, dataset, energy, loss, monitor, network, sampler


@dataset
def careless(*, n: int = 200):
    """Draw from torch's global generator."""
    return torch.randn(n, 2)


@dataset
def positional(generator, *, n: int = 200):
    """Take the generator in first place."""
    return torch.randn(n, 2, generator=generator)


@dataset
def fails(*, n: int = 200):
    """Raise."""
    raise FileNotFoundError("no such disk")


@energy
def factory(event_shape, *, width: int = 8):
    """Build a network, its event shape in first place."""
    return nn.Sequential(
        nn.Linear(event_shape[0], width), nn.Tanh(), nn.Linear(width, 1), nn.Flatten(0)
    )


@network
class shifts(nn.Module):  # noqa: N801
    """z + b (1 + m), m a running mean of z."""

    def __init__(self, event_shape):
        super().__init__()
        self.b = nn.Parameter(torch.rand(event_shape))
        self.register_buffer("mean", torch.zeros(event_shape))

    def forward(self, z):
        if self.training:
            with torch.no_grad():
                self.mean += 0.1 * (z.mean(0) - self.mean)
        return z + self.b * (1 + self.mean)


@loss(trains="shift")
def follows(energy, shift, x, generator):
    """Mean E of shifted noise, which trains the network `shift`."""
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return energy(shift(noise)).mean()


@loss
class critic(nn.Module):  # noqa: N801
    """A loss with random weights of its own."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 1)

    def forward(self, energy, x):
        return (energy(x) - self.head(x)[:, 0]).square().mean()


@loss
def leaves(energy, x, step, *, at: int = 3):
    """Exit the process."""
    if step == at:
        raise SystemExit(3)
    return energy(x).mean()


@loss
def gradient_overflows(energy, x, step, *, at: int = 3):
    """Have a finite value and a gradient that isn't."""
    value = energy(x).mean()
    return value + ((0 * value).abs().sqrt() if step == at else 0)


@loss
def constant(energy, x):
    """Depend on nothing."""
    return torch.ones(())


@loss
def logs_floats(energy, x):
    """Log plain numbers."""
    return energy(x).mean(), {"accuracy": 0.5}


@loss
def logs_vectors(energy, x):
    """Log what is no number."""
    return energy(x).mean(), {"all": energy(x)}


@sampler
def poisoned(energy, x, generator):
    """Return NaN."""
    return x * float("nan")


@sampler
def careless_walk(energy, x, generator):
    """Draw from torch's global generator."""
    return x + 0.1 * torch.randn_like(x)


@chains
def at_zero(x, generator):
    """Begin at 0: chains made of a function."""
    return torch.zeros_like(x)


@chains
class unsaveable(Chains):  # noqa: N801
    """Keep something that no file holds."""

    def start(self, x, generator):
        return torch.zeros_like(x)

    def state_dict(self):
        return {"thing": object()}


@chains
class duck:  # noqa: N801
    """Walk like chains, and be none."""

    def start(self, x, generator):
        return x


@monitor
def writes_data(view):
    """Write to the data."""
    view.data.mul_(1.01)
    return {}


@monitor
def freezes(view):
    """Turn training off."""
    for parameter in view.energy.parameters():
        parameter.requires_grad_(False)
    return {}


@monitor
def odd_names(view):
    """Return names that MLflow doesn't take."""
    return {"p(x)": 1.0, "good": 2.0}


class _Base:
    pass


@energy
class parent(nn.Module):  # noqa: N801
    """A decorated class with a child that isn't."""

    def __init__(self, event_shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(event_shape))

    def forward(self, x):
        return (self.weight * x).square().sum(-1)


class Child(parent):
    """Not offered: it has no decorator of its own."""


alias = parent


@loss
def smears(energy, x, generator, *, scale: float = 0.1):
    """Draw from a stream of its own."""
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return (energy(x + scale * noise) - energy(x)).square().mean()


@loss
def signals(energy, x, step, *, at: int = 3, number: int = 15):
    """Send a signal to the own process at a step."""
    import os

    if step == at:
        os.kill(os.getpid(), number)
    return 0 * energy(x).mean()


@monitor
class counts:  # noqa: N801
    """Count the looks; a zigzag of them is -1, 2, -3, 4, -3, 2 and so on."""

    def __init__(self):
        self.looks = 0

    def __call__(self, view):
        self.looks += 1
        size = min(self.looks, 4) if self.looks < 5 else 2
        return {"looks": self.looks, "zigzag": size * (-1) ** self.looks}

    def state_dict(self):
        return {"looks": self.looks}

    def load_state_dict(self, state):
        self.looks = state["looks"]


@loss
def turns(energy, x, step, *, at: list[int] = [], what: str = "nan"):  # noqa: B006
    """Be 0 but at some steps."""
    return 0 * energy(x).mean() + (float(what) if step in at else 0.0)


@loss
def limits(energy, x, step, *, at: int = 3, to: int = 3000):
    """Let the process write no file larger than so many bytes, from a step on."""
    import resource

    if step == at:
        resource.setrlimit(resource.RLIMIT_FSIZE, (to, resource.RLIM_INFINITY))
    return 0 * energy(x).mean()


@monitor
def dozes(view):
    """Take half a second for nothing."""
    import time

    time.sleep(0.5)
    return {}


@loss
class holds_stream:  # noqa: N801
    """Draw from the stream that its constructor was given."""

    def __init__(self, generator):
        self.generator = generator

    def __call__(self, energy, x):
        return energy(x + 0.1 * torch.randn(x.shape, generator=self.generator)).mean()
