"""Runs of bits and of categories: they train, resume bit for bit, and refuse what doesn't fit."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import ebmcore

BITS = {
    "data": {"type": "gray_code", "toy": "moons", "bits": 8, "n": 300, "holdout": 0.3},
    "energy": {"type": "mlp", "hidden": [16], "activation": "silu"},
    "sampler": {"type": "dmala", "step_size": 0.5, "n_steps": 2},
    "chains": {"type": "persistent", "size": 40},
    "loss": [
        "contrastive_divergence",
        {"type": "discrete_energy_discrepancy", "samples": 4},
        {"type": "ratio_matching", "sites": 3},
    ],
    "train": {"steps": 4, "batch_size": 20},
    "compile": False,
    "tracking": "off",
}
END = [
    {"type": "exact_likelihood", "every": "end"},
    {"type": "mmd", "n": 20, "permutations": 9, "every": "end"},
    {"type": "sampler_health", "n_chains": 4, "n_steps": 10, "every": "end"},
    {"type": "samples", "n": 20, "n_steps": 2, "every": "end"},
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("nets", "losses", "chains", "monitors"):
        pytest.importorskip(f"ebmcore_{name}")


def train(config, **overrides):
    changed = {key.replace("__", "."): value for key, value in overrides.items()}
    return ebmcore.run(config, changed, progress=False)


def test_bits_train_and_resume_bit_for_bit():
    whole = train({**BITS, "monitors": END}, train__checkpoint_every="2 steps")
    assert whole.warnings == []
    found = whole.metrics
    assert found["exact_likelihood/mass"] == pytest.approx(1, abs=1e-9)
    assert found["exact_likelihood/kl"] > 0
    assert 0 < found["sampler_health/flip_rate"] < 1
    assert {"mmd/linear", "mmd/linear_null"} <= set(found)
    assert list(whole.dir.glob("figures/samples/*.png"))
    part = Path("part")
    shutil.copytree(whole.dir, part)
    shutil.rmtree(part / "checkpoints" / "step-00000004")
    facts = json.loads((part / "run.json").read_text())
    (part / "run.json").write_text(json.dumps({**facts, "status": "RUNNING", "pid": 0}))
    resumed = ebmcore.resume(part, progress=False)
    assert resumed.step == 4
    for one, other in zip(resumed.energy.parameters(), whole.energy.parameters(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(resumed.chains.kept().x, whole.chains.kept().x)


def test_categories_train_by_gradients_of_one_hot_events():
    torch.save(torch.randint(3, (60, 4), generator=torch.Generator().manual_seed(0)), "tokens.pt")
    space = {"type": "categorical", "k": 3}
    for energy in ({"type": "mlp", "hidden": [8]}, {"type": "gru", "hidden": 4, "head_width": 4}):
        config = {
            **BITS,
            "data": {"type": "file", "path": "tokens.pt", "space": space},
            "energy": energy,
            "sampler": {"type": "gibbs_with_gradients", "n_steps": 2},
            "loss": ["contrastive_divergence", "pseudo_likelihood",
                     {"type": "concrete_score_matching", "epsilon": 0.2}],
        }  # fmt: skip
        run = train(config, train__steps=2)
        x = run.sample(30)
        assert x.dtype == torch.int64
        ebmcore.Categorical(3).check(x)


def test_a_misfit_is_one_sentence():
    torch.save(torch.zeros(60, 4).long(), "tokens.pt")
    data = {"type": "file", "path": "tokens.pt", "space": {"type": "categorical", "k": 3}}
    with pytest.raises(ebmcore.ConfigError, match=r"'energy_discrepancy' .* binary"):
        train(BITS, loss="energy_discrepancy")
    with pytest.raises(ebmcore.ConfigError, match=r"gibbs'.*: scan: blocks draws .* MLP doesn't"):
        train(BITS, sampler={"type": "gibbs", "scan": "blocks", "n_steps": 1})
    with pytest.raises(ebmcore.ConfigError, match="hidden = 64, and the energy has 3 hidden bits"):
        train(BITS, energy={"type": "rbm", "hidden": 3}, sampler="block_gibbs")
    assert not Path("runs").exists()
    with pytest.raises(ebmcore.ConfigError, match=r"'ising' .* categorical"):
        train({**BITS, "data": data, "energy": "ising"})
