"""Which parts of a step become graphs, and that their draws and results are compared.

The graphs are the plain functions that they would trace, so that nothing is compiled.
"""

from functools import partial

import pytest
import torch
from torch import nn

from ebmcore.compile import functions, plan
from ebmcore.compile.graph import Limits
from ebmcore.compile.step import CompiledStep
from ebmcore.train.step import TrainStep
from support import compile_parts as made
from support.compiled_steps import SAMPLED, advance, assert_alike, step_of

UNLIMITED = Limits()


class Plain:
    """A graph that calls its function."""

    def __init__(self, function, device, backend):
        self.function, self.traced = function, 0

    def __call__(self, *args):
        self.traced = 1
        return self.function(*args)


@pytest.fixture(autouse=True)
def plain_graphs(monkeypatch):
    """Trace nothing; outside of a trace torch takes no placeholder for a generator."""
    monkeypatch.setattr(plan, "Graph", Plain)
    monkeypatch.setattr(functions, "PlaceholderGenerator", lambda device: torch.Generator())


@pytest.fixture
def both():
    """Take a few steps eagerly and by plain graphs, which must agree; return the latter."""

    def take(loss, *, limits=UNLIMITED, **parts):
        heard = []
        make = loss if isinstance(loss, type) else lambda: loss
        eager = step_of(TrainStep, make(), **parts)
        made_of = partial(CompiledStep, warn=heard.append, limits=limits)
        planned = step_of(made_of, make(), **parts)
        assert_alike(eager, advance(eager, range(3)), planned, advance(planned, range(3)))
        planned.heard = heard
        return planned

    return take


def normed():
    return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0))


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ([made.gap, (made.denoising, 0.5)], SAMPLED),
        (made.denoising, {}),
        (made.gap, {**SAMPLED, "sampler": made.Own()}),
        ([made.gap, made.denoising], {**SAMPLED, "sampler": made.OwnMomentum()}),
        (made.gap, {**SAMPLED, "sampler": made.DrawnMomentum()}),
        (made.gap, {**SAMPLED, "sampler": made.Momentum(), "energy": normed}),
    ],
    ids=["sampled", "no-sampler", "own-loop", "own-loop-carried", "drawn", "buffers"],
)
def test_a_whole_step_is_one_graph(both, loss, parts):
    planned = both(loss, **parts)
    assert (planned.mode, planned.heard, planned.left_out) == ("step", [], {})


def test_a_plan_changes_nothing():
    step = step_of(CompiledStep, made.gap, **SAMPLED, energy=normed)
    for purpose in ("sampler", "loss gap"):
        step.streams(purpose)
    x = step.parts.data.x[:8]
    start = step.start_chains(x, plan.Conditions(), 0)
    streams, buffers = step.streams.positions(), [b.clone() for b in step.buffers]
    found = plan.find_plan(step, "inductor", step.noise, Limits(), x, plan.Conditions(), start, 0)
    assert found.graphs.mode == "step"
    assert all(map(torch.equal, step.streams.positions(), streams))
    assert all(map(torch.equal, step.buffers, buffers))
    assert all(parameter.grad is None for parameter in step.parameters)


def test_gradients_have_the_layout_of_their_parameters():
    step = step_of(CompiledStep, made.gap, **SAMPLED)
    found = [torch.randn_like(p) for p in step.parameters]
    turned = [g.t().contiguous().t() if g.ndim == 2 else g for g in found]
    assert any(g.stride() != p.stride() for g, p in zip(turned, step.parameters, strict=True))
    step._store_gradients(functions.LossResult({}, turned))
    for parameter, gradient in zip(step.parameters, found, strict=True):
        assert parameter.grad.stride() == parameter.stride()
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize(("n_steps", "mode"), [(25, "step"), (26, "blocks")])
def test_a_long_walk_is_a_graph_of_its_own(both, n_steps, mode):
    assert both(made.gap, **SAMPLED, n_steps=n_steps).mode == mode


class OtherDraws:
    """A loss that draws from torch's own generator in every second call."""

    def __init__(self):
        self.calls = 0

    def __call__(self, energy, x):
        self.calls += 1
        return energy(x).mean() + 0 * torch.rand(self.calls % 2).sum()


class OtherValues(OtherDraws):
    """A loss whose first value is another than the later ones."""

    def __call__(self, energy, x):
        self.calls += 1
        return energy(x).mean() * (2.0 if self.calls == 2 else 1.0)


@pytest.mark.parametrize(
    ("loss", "parts", "why"),
    [
        (made.gap, {**SAMPLED, "sampler": made.Long()}, "minutes to compile"),
        ([made.gap, made.growing], SAMPLED, "names `step`"),
        (made.of_values, {}, "draws by normal"),
        (made.gap, {**SAMPLED, "sampler": made.Own(), "n_steps": 26}, "26 steps in its own"),
    ],
)
def test_a_part_that_is_left_out_is_named(both, loss, parts, why):
    planned = both(loss, **parts)
    assert why in " ".join(planned.left_out.values())
    assert len(planned.heard) == 1


@pytest.mark.parametrize(
    ("loss", "why"),
    [(OtherDraws, "in another order than the eager step"), (OtherValues, "compiled and")],
)
def test_graphs_that_draw_or_compute_otherwise_are_left_out(loss, why):
    step = step_of(CompiledStep, loss())
    advance(step, range(1))
    assert why in " ".join(step.left_out.values())
    assert step.mode == "eager"


@pytest.mark.parametrize(
    ("parts", "mode"),
    [(SAMPLED, "blocks"), ({}, "step"), ({**SAMPLED, "sampler": made.Own()}, "step")],
    ids=["kernel", "no-sampler", "own-loop"],
)
def test_graphs_of_one_step_of_the_sampler(both, parts, mode):
    planned = both(made.gap if parts else made.denoising, **parts, limits=Limits(longest=1))
    assert (planned.mode, planned.left_out) == (mode, {})
    if mode == "blocks":
        assert planned.plan.graphs.sampler.size == 1


def test_parts_that_take_too_long_are_left_out_again(both):
    slow = both(made.gap, **SAMPLED, limits=Limits(1, seconds=0.0))
    losses = slow.parts.losses[0].label
    assert slow.mode == "eager"
    assert slow.limits.given_up == {slow.parts.label("sampler"), losses}
    assert "compile_seconds" in slow.left_out[losses]
    half = both(made.gap, **SAMPLED, limits=Limits(1, given_up=frozenset({losses})))
    assert (half.mode, half.limits.given_up) == ("blocks", {losses})
    assert half.plan.graphs.losses is None
