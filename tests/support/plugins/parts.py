"""One part of each kind, small enough to follow by hand; the core's tests load it as a plugin."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebmcore import (
    Chains,
    Kernel,
    PositiveFloat,
    PositiveInt,
    Start,
    StepSize,
    callback,
    chains,
    dataset,
    energy,
    energy_and_score,
    hookimpl,
    loss,
    monitor,
    sampler,
    value_of,
)

HEARD = []  # the life-cycle hooks' calls, for the tests to read


@energy
class bowl(nn.Module):  # noqa: N801 (named as in a config)
    """E(x) = ½ Σ (w x)², with a dropout that draws from torch's global generator.

    Args:
        width: What w begins with.
        dropout: Share of the inputs that is dropped.
    """

    def __init__(self, event_shape, *, width: PositiveFloat = 1.0, dropout: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(width + 0.1 * torch.rand(event_shape))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return 0.5 * self.dropout(self.weight * x).square().flatten(1).sum(1)


@sampler
def walk(energy, x, generator, *, step_size: PositiveFloat = 0.1):
    """Take one Langevin step.

    Args:
        step_size: η.
    """
    _, score = energy_and_score(energy, x)
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + step_size * score + (2 * step_size) ** 0.5 * noise


class Moving(NamedTuple):
    x: Tensor
    momentum: Tensor


@sampler
class drifts(Kernel):  # noqa: N801
    """Follow a momentum that outlives a training step."""

    carries = ("momentum",)
    step_size = 0.1

    def init(self, energy, x, generator, carried):
        new = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return Moving(x, carried.or_new("momentum", new))

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),)

    def step(self, energy, state, noise):
        _, score = energy_and_score(energy, state.x)
        momentum = 0.9 * state.momentum + 0.1 * score + 0.4 * noise[0]
        return Moving(state.x + value_of(self.step_size) * momentum, momentum), None


@sampler
class fitted_drifts(drifts):  # noqa: N801
    """Follow it by steps that the run fits."""

    temperature = 1.0

    def __init__(self):
        self.step_size = StepSize()

    def step_for(self, spread):
        return spread

    def stable_step(self, curvature):
        return curvature**-0.5


@chains
class kept(Chains):  # noqa: N801
    """Keep the first chains of a buffer."""

    def __init__(self, size: PositiveInt = 40):
        self.size = size
        self.x = None
        self.carried = {}

    def start(self, x, generator):
        if len(x) > self.size:
            raise ValueError(f"size should be at least {len(x)}; got {self.size}")
        if self.x is None:
            shape = (self.size, *x.shape[1:])
            self.x = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
        return Start(self.x[: len(x)].clone(), carried=self.carried)

    def keep(self, end):
        self.x = torch.cat([end.x, self.x[len(end.x) :]])
        self.carried = dict(end.carried)

    def kept(self):
        return None if self.x is None else Start(self.x)

    def state_dict(self):
        return {} if self.x is None else {"x": self.x, **self.carried}

    def load_state_dict(self, state):
        self.x = state.get("x")
        self.carried = {name: value for name, value in state.items() if name != "x"}


@loss
def gap(energy, x, x_neg, *, beta: PositiveFloat = 1.0):
    """Mean E(x) - mean E(x⁻), times beta."""
    difference = energy(x).mean() - energy(x_neg).mean()
    return beta * difference, {"unscaled": difference}


@loss
def size(energy):
    """Σθ²."""
    return sum(p.square().sum() for p in energy.parameters())


@loss
class offset(nn.Module):  # noqa: N801
    """A loss with a parameter of its own: (mean E(x) - c)²."""

    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(()))

    def forward(self, energy, x):
        return (energy(x).mean() - self.constant).square()


@loss
def breaks(energy, x, step, *, at: int = 3):
    """Raise at a step."""
    if step == at:
        raise KeyError("broken on purpose")
    return energy(x).mean()


@loss
def overflows(energy, x, step, *, at: int = 3):
    """Turn to NaN at a step."""
    return energy(x).mean() * (float("nan") if step == at else 1.0)


@loss
def dawdles(energy, x, step, *, stall_at: int = -1):
    """Take its time, so that there is some to interrupt it; half a minute of it at one step."""
    import time
    from pathlib import Path

    if step == stall_at:
        Path("stalled").touch()
    time.sleep(30 if step == stall_at else 0.01)
    return energy(x).mean()


@monitor
class looks:  # noqa: N801
    """Numbers, a figure, an image, and noise from every generator that it can reach."""

    every = "1 epoch"

    def __call__(self, view):
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D

        torch.randn(7)
        torch.randn(3, generator=view.generator)
        view.energy.train()
        figure = Figure(figsize=(1, 1))
        figure.add_artist(Line2D([0, 1], [0, 1]))  # axes would be most of a short run's time
        return {
            "mean": view.energy(view.data).mean().detach(),
            "samples": view.sample(5).std().item(),
            "figure": figure,
            "image": torch.rand(4, 4, generator=view.generator),
        }


@monitor
def stumbles(view):
    """Raise each time."""
    raise ZeroDivisionError("this monitor is broken on purpose")


@monitor
def warns(view):
    """Say something."""
    view.warn("look here")
    return {}


@callback
class totals:  # noqa: N801
    """Add up the losses, log the sum, and stop the run after some records.

    Args:
        stop_after: How many records; -1 never stops.
    """

    def __init__(self, *, stop_after: int = -1):
        self.stop_after = stop_after
        self.total, self.records = 0.0, 0

    def on_metrics(self, run, step, metrics):
        torch.randn(7)
        if "loss" not in metrics:
            return
        self.total, self.records = self.total + metrics["loss"], self.records + 1
        run.log_metric("total", self.total)
        if self.records == self.stop_after:
            run.stop(f"{self.records} records are enough")

    def state_dict(self):
        return {"total": self.total, "records": self.records}

    def load_state_dict(self, state):
        self.total, self.records = state["total"], state["records"]


@dataset
def line(*, n: PositiveInt = 100, dimension: PositiveInt = 2, generator=None):
    """Return n points of a Gaussian with standard deviation ½.

    Args:
        n: How many points.
        dimension: Values in a point.
    """
    return 0.5 * torch.randn(n, dimension, generator=generator)


@hookimpl
def ebmcore_run_start(run):
    HEARD.append(("start", run.status))


@hookimpl
def ebmcore_checkpoint(path):
    HEARD.append(("checkpoint", path.name))


@hookimpl
def ebmcore_run_end(run, status):
    HEARD.append(("end", status))


@hookimpl
def ebmcore_run_error(error):
    HEARD.append(("error", type(error).__name__))
