"""Whether a run is compiled, and where a run says so."""

import json

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore.compile.graph import LONGEST, Limits, unavailable
from ebmcore.compile.policy import decide_compile
from ebmcore.train.step import TrainStep
from support import compile_parts as made
from support.compiled_steps import SAMPLED, step_of

pytestmark = pytest.mark.skipif(
    unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled here"
)


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


def test_recurrent_layers_are_compiled_step_by_step():
    parts = step_of(TrainStep, made.gap, **SAMPLED, n_steps=10).parts
    assert decide_compile(True, parts, 1).limits == Limits(LONGEST)
    parts.energy.reads = nn.LSTM(1, 1)  # of sequences of two
    assert decide_compile(True, parts, 1, 300.0).limits == Limits(1, 300.0)
    parts.energy.reads = nn.LSTM(1, 1, num_layers=19, bidirectional=True)
    refused = decide_compile(True, parts, 1, 300.0)
    assert not refused.compiled
    assert "compile_seconds is 300" in refused.why


def test_a_short_run_of_a_deep_network_is_compiled_step_by_step():
    parts = step_of(TrainStep, made.gap, **SAMPLED, n_steps=25).parts
    assert decide_compile(True, parts, 10).limits.longest == LONGEST
    parts.energy.deep = nn.Sequential(*(nn.Linear(1, 1) for _ in range(10)))
    assert decide_compile(True, parts, 10).limits.longest == 1
    assert decide_compile(True, parts, 100_000).limits.longest == LONGEST
    assert decide_compile(True, parts, 100_000, 100.0).limits.longest == 1


def test_auto_leaves_long_steps_alone():
    parts = step_of(TrainStep, made.gap, **{**SAMPLED, "sampler": made.Long()}).parts
    assert "minutes to compile" in decide_compile("auto", parts, 10**9).why
    assert decide_compile(True, parts, 1).compiled  # the losses; the sampler is left out


def test_without_a_compiler_a_run_is_eager_and_says_so(config, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    run = ebmcore.run(config, {"compile": True}, progress=False)
    facts = json.loads((run.dir / "run.json").read_text())["compile"]
    assert facts["mode"] == "eager"
    assert "no C++ compiler" in facts["why"]
    assert any("no C++ compiler" in text for text in run.warnings)


def test_the_config_holds_the_request_the_record_the_result(config):
    run = ebmcore.run(config, {"threads": 1}, progress=False)
    facts = json.loads((run.dir / "run.json").read_text())
    assert "compile: auto" in (run.dir / "config.yaml").read_text()
    assert facts["compile"]["asked"] == "auto"
    assert facts["compile"]["mode"] == "eager"
    assert facts["threads"] == {"asked": 1, "number": 1, "why": "threads: 1"}
