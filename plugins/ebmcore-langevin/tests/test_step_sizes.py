"""The bounds that the kernels declare for their steps, against their own laws, and `auto`."""

import math

import pytest
import torch
from ebmcore_langevin import MALA, Annealed, Langevin, Underdamped

import ebmcore
from ebmcore import Sampler


def test_step_for_is_the_law_s_bound():
    """The least variance of any Gaussian energy's chains is s² at η = step_for(s)."""
    spread, temperature = 0.3, 1.7
    size = Langevin(temperature=temperature).step_for(spread)
    kernel = Langevin(size, temperature=temperature)
    scales = torch.linspace(0.01, 2, 2000).tolist()
    least = min(kernel.stationary_variance(scale) for scale in scales)
    assert least == pytest.approx(spread**2, rel=1e-4)
    assert Langevin(temperature=0.0).step_for(spread) == math.inf
    assert MALA(temperature=temperature).step_for(spread) == pytest.approx(size)
    h = Underdamped(temperature=temperature).step_for(spread)
    scale = spread / math.sqrt(temperature)  # of the energy whose chains are so narrow
    for share, finite in ((0.999, True), (1.001, False)):
        kernel = Underdamped(share * h, temperature=temperature)
        assert math.isfinite(kernel.stationary_variance(scale)) is finite


@pytest.mark.parametrize("kind", [Langevin, Underdamped], ids=lambda kind: kind.__name__)
def test_chains_grow_beyond_the_stable_step_alone(kind):
    """On E = ½κx², κ = 50."""
    bound = kind().stable_step(50.0)
    for share, grows in ((0.95, False), (1.05, True)):
        x = Sampler(kind(share * bound), 400)(
            lambda x: 25 * x.square().sum(1),
            torch.ones(50, 1, dtype=torch.float64),
            torch.Generator().manual_seed(0),
        ).x
        assert bool(x.abs().max() > 100) is grows


@pytest.mark.parametrize("kernel", [Langevin, Underdamped, MALA], ids=lambda kind: kind.__name__)
def test_a_fitted_step_is_the_step_of_that_number(kernel):
    fitted, plain = kernel("auto"), kernel(0.02)
    with pytest.raises(ValueError, match="give a number"):
        Sampler(fitted, 1)(lambda x: x.square().sum(1), torch.ones(2, 1), None)
    x = torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    fitted.step_size.start(fitted, x, x.device)
    fitted.step_size.scale(0.02 / float(fitted.step_size))
    ends = [
        Sampler(each, 5)(lambda x: x.square().sum(1), x, torch.Generator().manual_seed(1)).x
        for each in (fitted, plain)
    ]
    torch.testing.assert_close(*ends)


def test_auto_is_refused_where_nothing_can_fit_it():
    with pytest.raises(ValueError, match="auto needs a temperature above 0"):
        Langevin("auto", temperature=0.0)
    with pytest.raises(ValueError, match="several noise levels"):
        Annealed(Langevin("auto"))
    with pytest.raises(ValueError, match="between 0 and 1"):
        MALA(target_acceptance=1.0)


def test_a_run_fits_keeps_and_hands_on_its_step(tmp_path):
    config = {
        "data": {"type": "rings", "radii": [1.0], "std": 0.05, "n": 400},
        "energy": {"type": "mlp", "hidden": [8]},
        "sampler": {"type": "langevin", "step_size": "auto", "n_steps": 2},
        "chains": {"type": "persistent", "size": 50},
        "loss": {"type": "contrastive_divergence"},
        "train": {"steps": 20, "batch_size": 20, "log_every": 10},
        "compile": False,
        "tracking": None,
    }
    run = ebmcore.run(config, runs_dir=tmp_path, progress=False)
    size = run.metrics["sampler/step_size"]
    assert 0 < size < 0.01
    opened = ebmcore.load(run.dir)
    for one in (run, opened):
        kernel = one.sampler.kernel
        one.sample(10, n_steps=3)
        assert float(kernel.step_size) == size
