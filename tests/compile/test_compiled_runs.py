"""Compiled runs: the numbers of eager ones, and bit for bit their own when resumed."""

import importlib
import json
import shutil
import warnings

import pytest
import torch
from safetensors.torch import load_file

import ebmcore
from ebmcore.compile import policy
from ebmcore.compile.graph import Graph, unavailable
from ebmcore.compile.step import CompiledStep
from ebmcore.train.step import TrainStep
from support import STREAMS
from support import compile_parts as made
from support.compiled_steps import SAMPLED, advance, assert_alike, step_of
from support.runs import lines

pytestmark = pytest.mark.skipif(
    unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled here"
)


@pytest.mark.slow
def test_a_compiled_run_is_the_eager_one_and_resumes_exactly(config):
    """With inductor: a dropout, an average, a sampler made of a function, data that are read."""
    config["plugins"]["files"].append(str(STREAMS))
    config["data"] = {"type": "items", "loader": {"workers": 1}}
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
def test_a_stopped_compiled_run_resumes_exactly(config, tmp_path):
    """With a step size that the run fits, in place, and data that are read."""
    config["plugins"]["files"].append(str(STREAMS))
    config["data"] = {"type": "items", "loader": {}}
    options = {
        "energy.dropout": 0.3,
        "sampler": {"type": "fitted_drifts", "n_steps": 3},
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
    rows = [[line for line in lines(folder) if "loss" in line] for folder in (whole.dir, stopped)]
    assert rows[0] == rows[1]
    assert len({row["sampler/step_size"] for row in rows[0]}) == 2  # fitted anew at step 10
    for name in ("weights", "ema", "chains"):
        one, other = (
            load_file(folder / "checkpoints" / "step-00000018" / f"{name}.safetensors")
            for folder in (whole.dir, stopped)
        )
        assert all(torch.equal(one[key], other[key]) for key in one)
    for name in ("train/energy_evaluations", "loss"):
        assert resumed.metrics[name] == whole.metrics[name]


@pytest.mark.slow
def test_a_run_without_time_to_compile_resumes_eagerly(config, monkeypatch):
    with warnings.catch_warnings(action="ignore"):  # the time below is for tracing alone
        importlib.import_module("torch._inductor.compile_fx")

    monkeypatch.setattr(policy, "_spent", lambda *args: 0.0)
    options = {"monitors": [], "compile": True, "compile_seconds": 0.2, "tracking": "off"}
    config["train"]["checkpoint_every"] = "5 steps"
    run = ebmcore.run(config, options, progress=False)
    record = json.loads((run.dir / "run.json").read_text())["compile"]
    assert record["mode"] == "eager"
    assert set(record["left_out"].values()) == {"compiling took more than compile_seconds"}
    assert any("compile_seconds" in text for text in run.warnings)
    before = {name: value.clone() for name, value in run.energy.state_dict().items()}

    shutil.rmtree(run.dir / f"checkpoints/step-{run.step:08}")
    facts = json.loads((run.dir / "run.json").read_text())
    (run.dir / "run.json").write_text(json.dumps({**facts, "status": "KILLED"}))
    monkeypatch.setattr(Graph, "_trace", None)  # nothing is tried again
    resumed = ebmcore.resume(run.dir, plugins=config["plugins"]["files"], progress=False)
    assert (resumed.status, resumed.step) == ("FINISHED", run.step)
    assert all(torch.equal(before[k], v) for k, v in resumed.energy.state_dict().items())
    assert json.loads((run.dir / "run.json").read_text())["compile"] == record


@pytest.mark.slow
def test_compiled_kernels_take_the_steps_of_eager_ones():
    """With inductor, its kernels called from C++, and losses of both orders."""
    eager = step_of(TrainStep, [made.gap, made.denoising], **SAMPLED)
    compiled = step_of(CompiledStep, [made.gap, made.denoising], **SAMPLED)
    assert_alike(eager, advance(eager), compiled, advance(compiled))
    assert compiled.mode == "step"
    assert compiled.plan.graphs.whole._direct is not None
