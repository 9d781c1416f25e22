"""The functions that are traced compute eagerly what the eager step does, from the same draws."""

from functools import partial

import pytest
import torch
from torch import nn

from ebmcore.compile.batched_noise import BatchedNoise
from ebmcore.compile.functions import (
    Begin,
    Randomness,
    RepeatedGraph,
    _clipped,
    begin_from,
    losses_function,
    sampler_function,
    step_function,
    untraceable_losses,
)
from ebmcore.contracts import Conditions, Start
from ebmcore.train.step import TrainStep
from support import compile_parts as made
from support.compiled_steps import BATCH, SAMPLED, step_of

NO_DRAWS = Randomness((), [], [])
close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-6)


def batch_of(step):
    return step.parts.data.x[:BATCH]


def follows(energy, shift, x):
    return energy(shift(x)).mean()


follows.trains = "shift"
SHIFTED = {"networks": lambda: {"shift": nn.Linear(2, 2)}}


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ([(made.gap, 3.0)], SAMPLED),
        ([made.gap, (follows, 20.0)], {**SAMPLED, **SHIFTED}),
    ],
    ids=["weighted", "networks"],
)
def test_losses_and_their_clipped_gradient(loss, parts):
    step = step_of(TrainStep, loss, **parts)
    x, x_neg = batch_of(step), batch_of(step) + 30.0
    expected = step.compute_gradients(x, x_neg, Conditions(), 0)
    gradients = [p.grad.clone() for p in step.parameters]
    found = losses_function(step.parts, step.train)(x, x_neg, Conditions(), Conditions(), NO_DRAWS)
    close(found.metrics, expected)
    close(list(found.gradients), gradients)
    assert expected["train/grad_norm"] > step.train.clip_grad_norm


def test_a_gradient_is_clipped_to_its_bound_and_never_scaled_up():
    gradients, loss = [torch.tensor([3.0, 0.0]), None, torch.tensor(-4.0)], torch.tensor(1.0)
    (one, none, other), norm = _clipped(gradients, 1.0, loss)
    assert norm == 5
    assert none is None
    close([one, other], [torch.tensor([0.6, 0.0]), torch.tensor(-0.8)])
    for bound in (50.0, None):
        close(_clipped(gradients, bound, loss)[0], gradients)
    assert _clipped([None], 1.0, loss)[1] == 0


@pytest.mark.parametrize("kernel", [made.Ula(), made.Momentum()])
def test_a_sampler_from_the_same_draws(kernel):
    """Twice, so that the second run has what the first carried on; dropout is off meanwhile."""
    energy = partial(made.Bowl, dropout=0.5)
    step = step_of(TrainStep, made.gap, **{**SAMPLED, "sampler": kernel}, energy=energy, n_steps=3)
    step.parts.energy.outer.eval()
    one, other = (torch.Generator().manual_seed(5) for _ in range(2))
    run, fields, begin = sampler_function(step.parts), {}, Start(batch_of(step))
    for _ in range(2):
        expected = step.parts.sampler(step.parts.energy, begin, one)
        start = begin_from(step.parts, begin, other, fields)
        noises = BatchedNoise(step.parts.sampler.kernel)(start.x, other, 3)
        found = run(start, Randomness(noises, [], []))
        close(found.x, expected.x)
        close(dict(found.carried), dict(expected.carried))
        fields = expected.carried
        begin = Start(expected.x, carried=expected.carried)
    modules = list(step.parts.energy.modules())
    assert [m.training for m in modules] == [m is not step.parts.energy.outer for m in modules]


def test_chains_that_carry_nothing_yet_carry_zeros():
    step = step_of(TrainStep, made.gap, **{**SAMPLED, "sampler": made.Momentum()})
    x = batch_of(step)
    begin = begin_from(step.parts, Start(x), torch.Generator(), {"momentum": torch.ones(3, 2)})
    assert torch.equal(begin.carried.fields["momentum"], torch.zeros(BATCH, 2))
    assert begin.carried.fresh.all()


@pytest.mark.parametrize(("steps", "size"), [(33, 11), (29, 10), (50, 25)])
def test_a_repeated_graph_takes_every_step_with_its_noise(steps, size):
    step = step_of(TrainStep, made.gap, **SAMPLED, n_steps=steps)
    generator = torch.Generator().manual_seed(5)
    repeated = RepeatedGraph(step.parts, 25, lambda function: function)
    assert repeated.size == size
    begin = Begin(batch_of(step))
    noises = BatchedNoise(step.parts.sampler.kernel)(begin.x, generator, steps)
    randomness = Randomness(noises, [], [])
    found, expected = repeated(begin, randomness), sampler_function(step.parts)(begin, randomness)
    close(found.x, expected.x)
    close(found.info, expected.info)


def test_a_step_gives_losses_the_samples_and_their_conditions():
    def tells(energy, x, x_neg, y, y_neg):
        return energy(x).mean() - energy(x_neg).mean(), {"y": y.sum(), "y_neg": y_neg.sum()}

    step = step_of(TrainStep, tells, **SAMPLED)
    x, y = batch_of(step), torch.arange(BATCH)
    noises = BatchedNoise(step.parts.sampler.kernel)(x, torch.Generator(), 2)
    begin = Begin(x, conditions=Conditions(y + 1))
    step.parts.energy.forward = lambda x, y=None: made.Bowl.forward(step.parts.energy, x)
    sample, found = step_function(step.parts, step.train)(
        begin, x, Conditions(y), Randomness(noises, [], [])
    )
    assert (found.metrics["loss/tells/y"], found.metrics["loss/tells/y_neg"]) == (28, 36)
    close(found.metrics["samples"], sample.x.sum())


def test_losses_that_name_the_step_or_the_chains_stay_eager():
    def of_step(energy, x, step):
        return energy(x).mean()

    def of_chains(energy, x_neg, chains):
        return energy(x_neg).mean()

    step = step_of(TrainStep, [of_step, of_chains, made.gap], **SAMPLED)
    why = untraceable_losses(step.parts.losses)
    assert ["`step`" in why["loss 'of_step'"], "`chains`" in why["loss 'of_chains'"]] == [True] * 2
    assert len(why) == 2
