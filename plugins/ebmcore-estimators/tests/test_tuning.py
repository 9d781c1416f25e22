import math

import pytest
import torch
from ebmcore_estimators import Gaussian
from ebmcore_estimators.moves import Hamiltonian
from ebmcore_estimators.tuning import _next, _scale, fit_path


def test_the_next_step_keeps_its_share_of_the_effective_size(seeded):
    lead = torch.randn(500, generator=seeded, dtype=torch.float64) * 7
    beta = _next(0.25, lead, 0.8)
    w = ((beta - 0.25) * lead).exp()
    assert float(w.mean() ** 2 / w.square().mean()) == pytest.approx(0.8, abs=1e-6)
    assert _next(0.25, lead / 1000, 0.8) == 1.0
    walled = torch.cat([lead, torch.full((300,), -math.inf).double()])
    assert _next(0.25, walled, 0.8) == pytest.approx(beta)  # nothing keeps these


def test_a_path_of_two_gaussians(seeded):
    scales = torch.tensor([0.1, 1.0, 3.0]).double()

    def energy(x):
        return 0.5 * (x / scales).square().sum(1)

    base = Gaussian.standard((3,), dtype=torch.float64)
    move = Hamiltonian(energy, base, 3)
    path = fit_path(move, base, seeded, pilot=2000)
    assert path.betas[0] == 0.0
    assert path.betas[-1] == 1.0
    assert list(path.betas) == sorted(path.betas)
    assert len(path.step_sizes) == len(path.betas) == len(path.scales)
    # at the end the scale of a Gaussian's moves is its standard deviation
    torch.testing.assert_close(path.scales[-1], scales, rtol=0.15, atol=0)
    x = scales * torch.randn(2000, 3, generator=seeded, dtype=torch.float64)
    walkers = move.begin(x)
    acceptance = [
        float(move(walkers, 1.0, path.step_sizes[-1], path.scales[-1], seeded)[1].mean())
        for _ in range(10)
    ]
    assert sum(acceptance) / 10 == pytest.approx(0.8, abs=0.12)


def test_a_coordinate_without_variance_has_scale_one(seeded):
    base = Gaussian.standard((2,), dtype=torch.float64)
    x = torch.tensor([[0.0, 1.0], [0.0, -1.0]]).double()
    walkers = Hamiltonian(base.energy, base, 1).begin(x)
    torch.testing.assert_close(_scale(walkers, 0.5), torch.tensor([1.0, 2**0.25]).double())


def test_given_steps_are_kept(seeded, monkeypatch):
    base = Gaussian.standard((2,), dtype=torch.float64)
    move = Hamiltonian(lambda x: x.square().sum(1), base, 2)
    path = fit_path(move, base, seeded, pilot=50, betas=(0.0, 0.5, 1.0))
    assert path.betas == (0.0, 0.5, 1.0)
    monkeypatch.setattr("ebmcore_estimators.tuning.MOST_STEPS", 1)
    assert fit_path(move, base, seeded, pilot=50, betas=path.betas).steps == 2


def test_energies_without_a_path_are_refused(seeded, monkeypatch):
    base = Gaussian.standard((2,), dtype=torch.float64)
    nowhere = Hamiltonian(lambda x: x.square().sum(1) + math.inf * (x[:, 0] > -9), base, 2)
    with pytest.raises(ValueError, match="of 50 draws of the base 0 have a finite energy"):
        fit_path(nowhere, base, seeded, pilot=50)
    monkeypatch.setattr("ebmcore_estimators.tuning.MOST_STEPS", 20)
    endless = Hamiltonian(lambda x: -x.square().square().sum(1), base, 2)
    with pytest.raises(
        ValueError, match=r"only β = 1 - .* in 20 steps: the energy may have no lower"
    ):
        fit_path(endless, base, seeded, pilot=50)
