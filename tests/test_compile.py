"""Compiled training steps do what eager ones do, and what can't be compiled is left out by name.

Whether something can be traced is tried without a compiler (`aot_eager`), which takes a second;
the tests that compile are few and slow.
"""

import importlib.util
import json
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.profiler import ProfilerActivity, profile

import ebmcore
from ebmcore.compile.graph import Graph, unavailable
from ebmcore.compile.policy import decide_compile
from ebmcore.compile.step import CompiledStep
from ebmcore.config import read_train
from ebmcore.train.ema import Average
from ebmcore.train.step import TrainStep

_spec = importlib.util.spec_from_file_location(
    "compile_parts", Path(__file__).with_name("compile_parts.py")
)
made = importlib.util.module_from_spec(_spec)
sys.modules["compile_parts"] = made  # the compiler looks up where a function was written
_spec.loader.exec_module(made)

pytestmark = pytest.mark.skipif(
    unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled here"
)
BATCH = 8
SAMPLED = {"sampler": made.Ula(), "chains": made.Kept}


def step_of(
    kind, loss, *, sampler=None, chains=None, energy=made.Bowl, n_steps=2, optimizer=None, **options
):
    """Build a training step of a small experiment; the same parts make the same numbers."""
    torch.manual_seed(0)
    experiment = ebmcore.Experiment(
        data=torch.randn(48, 2),
        energy=energy(),
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
        done = step(step.parts.data.x[i * BATCH : (i + 1) * BATCH], None, i)
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
    close(
        list(compiled.parts.energy.state_dict().values()),
        list(eager.parts.energy.state_dict().values()),
    )
    close(list(compiled.averaged.parameters()), list(eager.averaged.parameters()))
    close(found.metrics, expected.metrics)
    close(found.x_neg, expected.x_neg)
    assert type(found.info) is type(expected.info)
    streams = compiled.streams.items()
    for name, stream in eager.streams.items().items():
        assert torch.equal(stream.get_state(), streams[name].get_state()), name
    assert compiled.evaluations.totals == eager.evaluations.totals


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        (made.gap, SAMPLED),
        ([made.gap, (made.denoising, 0.5)], SAMPLED),
        (made.denoising, {}),
        (made.gap, {**SAMPLED, "sampler": made.Own()}),
        (made.gap, {**SAMPLED, "energy": partial(made.Bowl, dropout=0.5)}),
    ],
    ids=["sampled", "both orders", "no sampler", "a sampler of its own", "dropout"],
)
def test_a_whole_step_is_one_graph(loss, parts):
    compiled, heard = both(loss, **parts)
    assert compiled.mode == "step"
    assert not heard
    assert compiled.left_out == {}
    assert compiled.plan.graphs.whole.traced == 1


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


def test_a_long_walk_is_one_graph_called_again_and_again():
    compiled, heard = both(made.gap, **SAMPLED, n_steps=33)
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


def test_a_part_that_fails_later_is_blamed_and_nothing_is_half_done():
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
    step.compute(step.parts.data.x[:BATCH], None, 2)
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


def test_nothing_is_brought_to_the_host_on_a_device_that_has_no_numbers():
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


def test_auto_decides_from_the_work_that_there_is():
    parts = step_of(TrainStep, made.gap, **SAMPLED, n_steps=10).parts
    short, long = decide_compile("auto", parts, 1000), decide_compile("auto", parts, 100_000)
    assert (short.compiled, long.compiled) == (False, True)
    assert "would be saved in 1000 steps" in short.why
    assert decide_compile(True, parts, 1).compiled
    assert not decide_compile(False, parts, 10**9).compiled
    assert decide_compile("auto", parts, 100_000) == long


def test_auto_leaves_recurrent_layers_alone():
    parts = step_of(TrainStep, made.gap, **SAMPLED).parts
    parts.energy.reads = nn.LSTM(1, 1)
    assert "recurrent" in decide_compile("auto", parts, 10**9).why
    assert decide_compile(True, parts, 1).compiled


def test_without_a_compiler_a_run_is_eager_and_says_so(config, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    run = ebmcore.run(config, {"compile": True}, progress=False)
    facts = json.loads((run.dir / "run.json").read_text())["compile"]
    assert facts["mode"] == "eager"
    assert "no C++ compiler" in facts["why"]
    assert any("no C++ compiler" in text for text in run.warnings)


def test_what_was_asked_is_in_the_config_and_what_was_done_in_the_record(config):
    run = ebmcore.run(config, {"threads": 1}, progress=False)
    facts = json.loads((run.dir / "run.json").read_text())
    assert "compile: auto" in (run.dir / "config.yaml").read_text()
    assert facts["compile"]["asked"] == "auto"
    assert facts["compile"]["mode"] == "eager"
    assert facts["threads"] == {"asked": 1, "number": 1, "why": "threads: 1"}


def test_a_graph_says_in_a_line_why_it_is_none():
    graph = Graph(lambda x: x * (2 if x.sum().item() > 0 else 1), torch.device("cpu"))
    with pytest.raises(ebmcore.EbmError) as refused:
        graph(torch.ones(2))
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_compiled_run_is_the_eager_one_and_resumes_exactly(config):
    """With inductor: an energy with a dropout, an average, a sampler made of a function."""
    config["train"]["checkpoint_every"] = "11 steps"
    options = {"energy.dropout": 0.3, "monitors": [], "train.epochs": 3}
    runs = [
        ebmcore.run(config, {**options, "compile": how}, progress=False) for how in (False, True)
    ]
    records = [json.loads((run.dir / "run.json").read_text())["compile"] for run in runs]
    assert [record["mode"] for record in records] == ["eager", "step"]
    assert records[1]["left_out"] == {}
    assert runs[1].metrics["loss"] == pytest.approx(runs[0].metrics["loss"], abs=1e-4)
    assert "compiling" in runs[1].seconds_by_part
    eager, once = ({k: v.clone() for k, v in run.energy.state_dict().items()} for run in runs)

    for place in sorted(runs[1].dir.glob("checkpoints/step-*"))[1:]:
        shutil.rmtree(place)  # as if the process had died after the first checkpoint
    facts = json.loads((runs[1].dir / "run.json").read_text())
    (runs[1].dir / "run.json").write_text(json.dumps({**facts, "status": "RUNNING"}))
    resumed = ebmcore.resume(runs[1].dir, plugins=config["plugins"]["files"], progress=False)
    again = resumed.energy.state_dict()
    assert resumed.step == runs[1].step == 27
    for name, value in eager.items():
        assert torch.equal(once[name], again[name])
        torch.testing.assert_close(once[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_compiled_run_that_was_stopped_ends_as_if_it_never_had_been(config, tmp_path):
    options = {
        "energy.dropout": 0.3,
        "monitors": [],
        "compile": True,
        "train.checkpoint_every": "5 steps",
        "train.keep_checkpoints": 9,
    }
    whole = ebmcore.run(config, options, progress=False)
    stopped = shutil.copytree(whole.dir, tmp_path / "stopped")
    for later in ("step-00000015", "step-00000018"):
        shutil.rmtree(stopped / "checkpoints" / later)
    facts = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({**facts, "status": "KILLED"}))
    resumed = ebmcore.resume(stopped, plugins=config["plugins"]["files"], progress=False)
    assert (resumed.status, resumed.step) == ("FINISHED", whole.step)
    for name in ("weights", "ema", "chains"):
        one, other = (
            load_file(folder / "checkpoints" / "step-00000018" / f"{name}.safetensors")
            for folder in (whole.dir, stopped)
        )
        assert all(torch.equal(one[key], other[key]) for key in one)
    for name in ("train/energy_evaluations", "loss"):
        assert resumed.metrics[name] == whole.metrics[name]


@pytest.mark.slow
def test_compiled_kernels_take_the_steps_of_eager_ones():
    """With inductor, its kernels called from C++, and losses of both orders."""
    eager = step_of(TrainStep, [made.gap, made.denoising], **SAMPLED)
    compiled = step_of(CompiledStep, [made.gap, made.denoising], **SAMPLED)
    assert_alike(eager, advance(eager), compiled, advance(compiled))
    assert compiled.mode == "step"
    assert compiled.plan.graphs.whole._direct is not None
