"""Training steps of small experiments, eager and compiled, and what must agree between them."""

from functools import partial

import torch

import ebmcore
from ebmcore.compile.step import CompiledStep
from ebmcore.config import read_train
from ebmcore.contracts import Conditions
from ebmcore.train.ema import Average
from ebmcore.train.step import TrainStep
from support import compile_parts as made

BATCH = 8

SAMPLED = {"sampler": made.Ula(), "chains": made.Kept}


def step_of(
    kind, loss, *, sampler=None, chains=None, energy=made.Bowl, n_steps=2, optimizer=None,
    networks=dict, **options
):  # fmt: skip
    """Build a training step of a small experiment; the same parts make the same numbers."""
    torch.manual_seed(0)
    experiment = ebmcore.Experiment(
        data=torch.randn(48, 2),
        energy=energy(),
        networks=networks(),
        loss=loss,
        sampler=sampler,
        chains=None if chains is None else chains(),
        n_steps=n_steps,
        optimizer=optimizer,
        holdout=0.0,
        device="cpu",
    )
    train = read_train({"steps": 9, "batch_size": BATCH, "clip_grad_norm": 0.5, "data_noise": 0.1})
    parts = experiment.assemble()
    return kind(parts, train, experiment.streams, Average(parts.energy, 0.9), **options)


def advance(step, batches=range(4)):
    torch.manual_seed(1)
    for i in batches:
        done = step(step.parts.data.x[i * BATCH : (i + 1) * BATCH], Conditions(), i)
    return done


def both(loss, **parts):
    """Take a few steps eagerly and compiled; return the latter and what it said."""
    heard = []
    eager = step_of(TrainStep, loss, **parts)
    traced = partial(CompiledStep, backend="aot_eager", warn=heard.append)
    compiled = step_of(traced, loss, **parts)
    assert_alike(eager, advance(eager), compiled, advance(compiled))
    return compiled, heard


def assert_alike(eager, expected, compiled, found):
    """Weights, averages, samples and metrics agree; the streams stand where they stand."""
    close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
    close(list(compiled.parameters), list(eager.parameters))
    close(
        list(compiled.parts.energy.state_dict().values()),
        list(eager.parts.energy.state_dict().values()),
    )
    close(list(compiled.averaged.parameters()), list(eager.averaged.parameters()))
    close(found.metrics, expected.metrics)
    close(found.x_neg, expected.x_neg)
    close(found.end, expected.end)
    assert type(found.info) is type(expected.info)
    streams = compiled.streams.items()
    for name, stream in eager.streams.items().items():
        assert torch.equal(stream.get_state(), streams[name].get_state()), name
    assert compiled.evaluations.totals == eager.evaluations.totals
