"""log Z of ManyWell in 32 numbers, as `benchmarks/log_z.py` has it with more walkers; in a run."""

import math

import pytest
import torch

import ebmcore

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


def test_many_wells_are_weighed():
    from ebmcore_analytic import ManyWell
    from ebmcore_estimators import Gaussian, smc

    energy = ManyWell((32,)).eval()
    assert energy.log_z == pytest.approx(164.6957, abs=5e-5)
    base = Gaussian.standard((32,), scale=1.5)
    generator = torch.Generator().manual_seed(0)
    found = smc(energy, base, n=2048, steps=50, jumps=4, generator=generator)
    assert found.standard_error < 0.1
    assert abs(found.log_z - energy.log_z) < 4.5 * found.standard_error
    share = found.mean((found.x[:, ::2] > 0).double().mean(1))
    # of each coordinate √(.8443 .1557 / starts that count), and there are 16 independent ones
    assert abs(share - energy.share_right) < 4.5 * (0.1315 / 16 / found.ess) ** 0.5


def test_a_run_of_five_numbers_records_an_estimate(tmp_path):
    judge = {"type": "exact_likelihood", "every": "end", "estimate": {"type": "log_z", "n": 64}}
    tree = {
        "seed": 0,
        "data": {"type": "gaussian_mixture", "n": 300, "centers": [[0.0] * 5], "std": 1.0},
        "energy": {"type": "gaussian", "scale": 1.0, "learnable": True},
        "sampler": {"type": "langevin", "step_size": 0.1, "n_steps": 1},
        "chains": "data",
        "loss": "contrastive_divergence",
        "optimizer": {"type": "SGD", "lr": 0.01},
        "train": {"steps": 1, "batch_size": 50},
        "monitors": [judge],
        "checkpoints": "none",
        "tracking": "off",
    }
    found = ebmcore.run(tree, {"data.holdout": 0.2}, runs_dir=tmp_path, progress=False).metrics
    numbers = [found[f"exact_likelihood/nll_{end}"] for end in ("low", "estimate", "high")]
    # N(0, I) of N(0, I): 5/2 log 2πe; 60 rows tell it to √(5/2 / 60)
    assert numbers == sorted(numbers)
    assert numbers[1] == pytest.approx(5 / 2 * (math.log(2 * math.pi) + 1), abs=4.5 * 0.204)
    assert "exact_likelihood/nll" not in found
