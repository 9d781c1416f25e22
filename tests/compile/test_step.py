"""Compiled training steps do what eager ones do, and what can't be compiled is left out by name.

Whether something can be traced is tried without a compiler (`aot_eager`), which takes a second;
the tests that compile are few and slow.
"""

from functools import partial

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

import ebmcore
from ebmcore.compile.graph import unavailable
from ebmcore.compile.step import CompiledStep
from ebmcore.config import read_train
from ebmcore.contracts import Conditions
from ebmcore.train.step import TrainStep
from support import compile_parts as made
from support.compiled_steps import BATCH, SAMPLED, advance, assert_alike, both, step_of

pytestmark = pytest.mark.skipif(
    unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled here"
)


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        (made.gap, SAMPLED),
        ([made.gap, (made.denoising, 0.5)], SAMPLED),
        (made.denoising, {}),
        (made.gap, {**SAMPLED, "sampler": made.Own()}),
        (made.gap, {**SAMPLED, "energy": partial(made.Bowl, dropout=0.5)}),
        (made.gap, {**SAMPLED, "sampler": made.Momentum()}),
        (made.gap, {**SAMPLED, "sampler": made.DrawnMomentum()}),
        (made.gap, {**SAMPLED, "sampler": made.OwnMomentum()}),
    ],
    ids=[
        "sampled", "both orders", "no sampler", "a sampler of its own", "dropout",
        "carried", "carried and drawn", "carried by a sampler of its own",
    ],
)  # fmt: skip
def test_a_whole_step_is_one_graph(loss, parts):
    compiled, heard = both(loss, **parts)
    assert compiled.mode == "step"
    assert not heard
    assert compiled.left_out == {}
    assert compiled.plan.graphs.whole.traced == 1


def test_networks_are_in_the_graph_of_a_step():
    def follow(energy, shift, x, generator):
        return energy(shift(x + torch.randn(x.shape, generator=generator))).mean()

    follow.trains = "shift"
    compiled, heard = both(
        [made.gap, follow], **SAMPLED, networks=lambda: {"shift": nn.Linear(2, 2)}
    )
    assert compiled.mode == "step"
    assert not heard
    assert [target.group for target in compiled.targets] == ["energy", "shift"]


def test_a_buffer_moves_once_a_step():
    def energy():
        return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0))

    compiled, _ = both(made.gap, **SAMPLED, energy=energy)
    assert compiled.mode == "step"
    assert compiled.parts.energy[1].num_batches_tracked == 8  # x and x⁻, of four steps


@pytest.mark.parametrize(
    ("loss", "parts", "mode", "culprit", "why"),
    [
        (made.looks, {}, "eager", "loss 'looks'", "data-dependent"),
        (
            [made.gap, made.looks],
            SAMPLED,
            "blocks",
            "loss 'gap' and loss 'looks'",
            "data-dependent",
        ),
        (made.gap, {**SAMPLED, "sampler": made.Breaks()}, "blocks", "sampler", "data-dependent"),
        (made.gap, {**SAMPLED, "sampler": made.Long()}, "blocks", "sampler", "minutes to compile"),
        ([made.gap, made.growing], SAMPLED, "blocks", "loss 'growing'", "names `step`"),
        (made.of_chains, SAMPLED, "blocks", "loss 'of_chains'", "names `chains`"),
        (made.of_values, {}, "eager", "loss 'of_values'", "draws by normal"),
        (made.gap, {**SAMPLED, "sampler": made.Peeks()}, "blocks", "sampler", "samples differ"),
    ],
)
def test_what_cannot_be_traced_is_left_out_by_name(loss, parts, mode, culprit, why):
    compiled, heard = both(loss, **parts)
    assert compiled.mode == mode
    assert list(compiled.left_out) == [culprit]
    assert why in compiled.left_out[culprit]
    assert len(heard) == 1
    assert culprit in heard[0]


@pytest.mark.parametrize("kernel", [made.Ula(), made.Momentum(), made.DrawnMomentum()])
def test_a_long_walk_is_one_graph_called_again_and_again(kernel):
    compiled, heard = both(made.gap, **{**SAMPLED, "sampler": kernel}, n_steps=33)
    assert (compiled.mode, heard) == ("blocks", [])
    assert compiled.plan.graphs.sampler.size == 11
    assert compiled.plan.graphs.sampler.traced == 1


def test_a_loss_that_changes_is_traced_again():
    switch = made.Switch()
    eager, compiled = (
        step_of(kind, switch) for kind in (TrainStep, partial(CompiledStep, backend="aot_eager"))
    )
    found = []
    for step in (eager, compiled):
        switch.mode = "first"
        advance(step, range(2))
        switch.mode = "second"
        found.append(advance(step, range(2, 4)))
    assert_alike(eager, found[0], compiled, found[1])
    assert compiled.plan.graphs.whole.traced == 2


def test_a_later_failure_is_blamed_and_nothing_is_half_done():
    switch, heard = made.Switch(), []
    step = step_of(partial(CompiledStep, backend="aot_eager", warn=heard.append), switch)
    advance(step, range(2))
    before = [p.clone() for p in step.parameters]
    switch.mode = "broken"
    with pytest.raises(ebmcore.ComponentError, match=r"step 3: .* raised KeyError: 'broken"):
        advance(step, range(2, 3))
    assert all(torch.equal(a, b) for a, b in zip(before, step.parameters, strict=True))
    assert "at step 3" in heard[0]


def test_a_part_that_fails_at_once_is_blamed_as_ever():
    switch = made.Switch()
    switch.mode = "broken"
    step = step_of(partial(CompiledStep, backend="aot_eager"), switch)
    with pytest.raises(ebmcore.ComponentError, match="step 1: loss 'Switch' raised KeyError"):
        advance(step)


def test_a_step_can_be_dropped():
    step = step_of(partial(CompiledStep, backend="aot_eager"), made.gap, **SAMPLED)
    advance(step, range(2))
    before = [
        t.clone() for t in (*step.parameters, *step.averaged.parameters(), step.parts.chains.x)
    ]
    step.compute(step.parts.data.x[:BATCH], Conditions(), 2)
    after = (*step.parameters, *step.averaged.parameters(), step.parts.chains.x)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(("optimizer", "counts"), [(torch.optim.SGD, 0), (torch.optim.Adam, 4)])
def test_a_compiled_step_brings_no_number_to_the_host(optimizer, counts):
    """But for counts of steps, which are kept there: the average's, and Adam's by parameter."""
    traced = partial(CompiledStep, backend="aot_eager")
    step = step_of(traced, made.gap, **SAMPLED, optimizer=partial(optimizer, lr=0.01))
    advance(step, range(2))
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        advance(step, range(2, 4))
    copies = [e.count for e in seen.key_averages() if e.key == "aten::_local_scalar_dense"]
    assert copies == [2 * (1 + counts)]
    assert step.plan.graphs.mode == "step"


def test_a_step_on_meta_brings_nothing_to_the_host():
    torch.manual_seed(0)
    for loss, parts in (
        (made.gap, {"sampler": made.Ula(), "chains": lambda x, g: x.clone()}),
        (denoising_on_meta, {}),
    ):
        experiment = ebmcore.Experiment(
            data=torch.randn(48, 2), energy=made.Bowl(), loss=loss, device="meta", **parts
        )
        size = experiment.dry_run(read_train({"steps": 1, "batch_size": 8, "clip_grad_norm": 1.0}))
        assert size["steps"] == 1


def denoising_on_meta(energy, x):
    noised = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(noised).sum(), noised, create_graph=True)
    return gradient.square().mean()


denoising_on_meta.order = 2


def test_the_fused_optimiser_takes_the_same_steps():
    eager, compiled = (
        step_of(kind, made.gap, **SAMPLED)
        for kind in (TrainStep, partial(CompiledStep, backend="aot_eager"))
    )
    assert compiled.parts.optimizer.param_groups[0]["fused"] is True
    advance(eager)
    advance(compiled)
    for one, other in zip(eager.parameters, compiled.parameters, strict=True):
        mine, theirs = (s.parts.optimizer.state[p] for s, p in ((eager, one), (compiled, other)))
        assert mine.keys() == theirs.keys()
        torch.testing.assert_close(theirs["exp_avg_sq"], mine["exp_avg_sq"])
