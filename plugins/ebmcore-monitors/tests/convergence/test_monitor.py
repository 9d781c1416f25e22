"""The monitor `convergence` against chains whose mean, spread and correlation are known."""

import math

import pytest
import torch
from ebmcore_monitors.convergence.monitor import Convergence
from ebmcore_monitors.convergence.plots import plot_ranks, plot_traces
from ebmcore_monitors.statistics.diagnosis import Diagnosis, diagnose

from ebmcore import Binary, RunView, Trace

RHO = 0.6


def chains(kept, n, rho=RHO, seed=0):
    """AR(1) chains of two numbers, N(1, 4) each, (kept, n, 2)."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(kept, n, 2, generator=g, dtype=torch.float64)
    x = noise.clone()
    for t in range(1, kept):
        x[t] = rho * x[t - 1] + math.sqrt(1 - rho**2) * noise[t]
    return 1 + 2 * x


def view_of(x, **more):
    return RunView(
        energy=lambda at: 0.5 * at.square().sum(1),
        data=x[0],
        held_out=x[0, :0],
        generator=torch.Generator().manual_seed(0),
        walk=lambda n, n_steps, thin, **begin: Trace(x, None),
        n_steps=40,
        **more,
    )


def test_a_row_of_the_table():
    draws = chains(2000, 8)[..., 0]
    found = diagnose(draws)
    size = draws.numel() * (1 - RHO) / (1 + RHO)
    assert found.mcse_mean == pytest.approx(2 / math.sqrt(size), rel=0.1)
    assert abs(found.mean - 1) < 4.5 * found.mcse_mean
    assert found.sd == pytest.approx(2, rel=0.05)
    for q, error, z in ((found.q5, found.mcse_q5, -1.6449), (found.q95, found.mcse_q95, 1.6449)):
        assert abs(q - (1 + 2 * z)) < 4.5 * error
    assert found.ess_bulk == pytest.approx(size, rel=0.15)
    assert found.ess_bulk > found.ess_tail / 3
    assert found.rhat < 1.01


def test_it_judges_the_second_half_of_the_chains():
    x = chains(64, 64)
    x[:32] += 100
    found = Convergence(coordinates=1, full=True)(view_of(x))
    figures = {name for name, value in found.items() if hasattr(value, "savefig")}
    assert figures == {"trace", "rank", "energy"}
    of_x1 = diagnose(x[32:, :, 0])._asdict()
    assert {f"{stat}_x1": value for stat, value in of_x1.items()}.items() <= found.items()
    energy = 0.5 * x[32:].square().sum(2)
    assert found["mean_energy"] == pytest.approx(float(energy.mean()))
    assert not any(name.endswith("_x2") for name in found)
    brief = Convergence(coordinates=1)(view_of(x))
    assert set(brief) == {
        f"{stat}_{of}"
        for stat in ("rhat", "ess_bulk", "ess_tail", "mcse_mean")
        for of in ("energy", "x1")
    }
    assert brief.items() <= found.items()


def test_chains_that_stand_still_have_no_errors():
    x = torch.ones(64, 64, 2).double()
    found = Convergence(full=True)(view_of(x))
    assert found["mean_x1"] == 1
    assert not any(name.startswith(("rhat", "ess", "mcse")) for name in found)
    assert all(math.isnan(v) for v in diagnose(x[..., 0])[-3:])
    assert Diagnosis._fields[-1] == "rhat"


def test_chains_that_anneal_have_no_law():
    class Annealing:
        anneals = True

    assert Convergence()(view_of(chains(64, 8), kernel=Annealing())) == {}


def test_plots_of_bits_show_chains_that_agree():
    """Ranks of independent bits are even: 12 a bin, 5 standard deviations are 17."""
    bits = torch.randint(2, (120, 4, 3), generator=torch.Generator().manual_seed(0)).double()
    view = view_of(bits, space=Binary(), step=30)
    draws = {"energy": bits.sum(2), "x1": bits[..., 0]}
    ranks = plot_ranks(view, draws)
    assert ranks.get_suptitle() == "ranks of 4 of 4 chains (step 30)"
    for axes in ranks.axes:
        counts = torch.tensor([patch.get_data().values.tolist() for patch in axes.patches])
        assert counts.shape == (4, 10)
        assert (counts.sum(1) == 120).all()
        assert (counts.sum(0) == 48).all()
        assert counts.max() <= 12 + 17
    of_energy, of_bit = plot_traces(view, draws, thin=5).axes
    assert of_energy.get_ylabel() == "energy (nats)"
    assert len(of_energy.lines) == 4
    assert (of_bit.images[0].get_array() == bits[..., 0].T.numpy()).all()
    assert of_bit.images[0].get_extent() == [2.5, 602.5, 4.5, 0.5]
