"""`train.precision`: the energy in bf16, all else in float32."""

import copy

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import ConfigError, energy_and_score
from ebmcore.compile.step import CompiledStep
from ebmcore.sampling import conditions_of, set_precision
from ebmcore.train.step import TrainStep
from support import HARD
from support.compile_parts import gap
from support.compiled_steps import SAMPLED, advance, assert_alike, step_of
from support.runs import assert_same, cut, go, resume, weights

CPU = torch.device("cpu")
SLOW = "train.precision: bf16 is slower"


class Line(nn.Module):
    """E(x) = w x, and y where it is given, with a weight that bf16 rounds to 1."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.line.weight, 1.001)

    def forward(self, x, y=None):
        return self.line(x).squeeze(1)


def rounded():
    energy = Line()
    set_precision(energy, "bf16", CPU)
    return energy


def test_the_energy_and_its_score_are_those_of_rounded_weights():
    energy, x = rounded(), torch.tensor([[3.0], [0.5]])
    values, score = energy_and_score(energy, x)
    assert values.dtype == score.dtype == torch.float32
    assert values.tolist() == [3.0, 0.5]
    assert score.tolist() == [[-1.0], [-1.0]]
    energy(x).sum().backward()
    weight = energy.line.weight
    assert weight.item() == pytest.approx(1.001)
    assert (weight.grad.dtype, weight.grad.item()) == (torch.float32, 3.5)
    assert conditions_of(energy) == conditions_of(Line())
    plain = Line()
    assert set_precision(plain, "float32", CPU) == []
    assert plain(x).tolist() == pytest.approx([3.003, 0.5005])


def test_a_copy_evaluates_its_own_weights():
    energy = rounded()
    other = copy.deepcopy(energy)
    nn.init.constant_(other.line.weight, 2.001)
    assert [e(torch.ones(1, 1)).item() for e in (energy, other)] == [1.0, 2.0]


def test_other_weights_and_devices_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match=r"those of the energy are torch.float64"):
        set_precision(Line().double(), "bf16", CPU)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(ConfigError, match=r"cuda can't compute in bf16; set train.precision"):
        set_precision(Line(), "bf16", torch.device("cuda"))


@pytest.mark.parametrize("has", [True, False])
def test_a_processor_without_the_instructions_is_named_once(monkeypatch, has):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: has)
    found = set_precision(Line(), "bf16", CPU)
    assert [text.startswith(SLOW) for text in found] == ([] if has else [True])


@pytest.mark.filterwarnings("ignore:train.precision")
def test_a_run_is_recorded_resumed_and_opened_in_bf16(config):
    config["plugins"]["files"].append(str(HARD))
    config["energy"] = {"type": "hard_parts:factory"}
    plain = go(config)
    whole = go(config, train__precision="bf16", train__checkpoint_every="1 epoch")
    assert "precision: bf16" in (whole.dir / "config.yaml").read_text()
    assert {tensor.dtype for tensor in weights(whole).values()} == {torch.float32}
    difference = max(float((weights(plain)[k] - v).abs().max()) for k, v in weights(whole).items())
    assert 1e-6 < difference < 0.1
    opened, x = ebmcore.load(whole.dir, plugins=config["plugins"]["files"]), torch.randn(50, 2)
    assert torch.equal(opened.energy(x), whole.energy(x))
    exact = copy.deepcopy(opened.energy)
    del exact.forward
    assert 1e-6 < float((exact(x) - whole.energy(x)).detach().abs().max()) < 0.1
    assert_same(whole.dir, resume(cut(whole, 9), config).dir)


@pytest.mark.slow
def test_compiled_steps_round_where_eager_ones_do():
    def rounds(kind):
        def make(parts, *args, **options):
            set_precision(parts.energy, "bf16", CPU)
            return kind(parts, *args, **options)

        return make

    heard = []
    eager = step_of(rounds(TrainStep), gap, **SAMPLED)
    compiled = step_of(
        rounds(CompiledStep), gap, backend="aot_eager", warn=heard.append, **SAMPLED
    )  # fmt: skip
    assert_alike(eager, advance(eager), compiled, advance(compiled))
    assert (compiled.mode, heard) == ("step", [])


def test_float64_and_bf16_are_refused_in_a_config(config):
    changed = {"train.precision": "bf16", "dtype": "float64"}
    with pytest.raises(ConfigError, match=r"train.precision: bf16 evaluates float32 weights"):
        ebmcore.run(config, changed, progress=False)
