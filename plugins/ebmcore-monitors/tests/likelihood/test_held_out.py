import math
from types import SimpleNamespace

import pytest
import torch
from ebmcore_monitors.exact_likelihood import ExactLikelihood
from ebmcore_monitors.likelihood.held_out import of_held_out


def gaussian_energy(precision):
    return lambda x: 0.5 * torch.einsum("bi,ij,bj->b", x, precision.to(x), x)


def test_paired_divergence_is_the_mean_of_log_ratios(make_view, new_mixture, warned):
    data = new_mixture(torch.tensor([[0.5, -0.5]]), sd=0.7)
    model = new_mixture(torch.tensor([[0.4, -0.5]]), sd=0.8, constant=3.0)
    view = make_view(model, data.draw(5000), held_out=data.draw(4000, 1), dataset=data)
    found = ExactLikelihood()(view)
    # the model's own log_prob is normalised: no quadrature in what is expected
    ratios = (data.log_prob(view.held_out) - model.log_prob(view.held_out)).double()
    assert found["kl_held_out"] == pytest.approx(ratios.mean().item(), abs=1e-5)
    error = ratios.std().item() / math.sqrt(4000)
    assert found["kl_held_out_error"] == pytest.approx(error, rel=1e-4)
    shift, ratio = 0.1, (0.7 / 0.8) ** 2
    closed = 0.5 * (2 * ratio + shift**2 / 0.64 - 2 - 2 * math.log(ratio))
    assert abs(found["kl_held_out"] - closed) < 4 * error  # 4 standard errors: once in 16,000
    unpaired = (-model.log_prob(view.held_out)).std().item() / math.sqrt(4000)
    assert error < unpaired / 3
    assert warned == []


def test_paired_divergence_is_certain_for_the_true_model(make_view, new_mixture):
    truth = new_mixture()
    view = make_view(truth, truth.draw(2000), held_out=truth.draw(300, 1), dataset=truth)
    found = ExactLikelihood()(view)
    assert found["kl_held_out"] == pytest.approx(0, abs=1e-5)
    assert found["kl_held_out_error"] < 1e-6


def test_paired_divergence_without_a_grid_that_resolves_p(make_view, new_mixture, warned, squares):
    model = new_mixture(torch.tensor([[1.3, 1.3]]), sd=1.0)
    view = make_view(model, squares.draw(500, 0), held_out=squares.draw(900, 1), dataset=squares)
    found = ExactLikelihood(points=41)(view)
    assert "kl" not in found
    assert warned.about("kl and entropy are not recorded")
    # -log 2 + log 2π + ½ E‖x - 1.3‖²; per coordinate 1/12 + ½ (0.8² + 0.9²)
    closed = math.log(math.pi) + (1 / 12 + (0.8**2 + 0.9**2) / 2)
    assert abs(found["kl_held_out"] - closed) < 4 * found["kl_held_out_error"]


def test_paired_divergence_below_0_warns_and_is_not_recorded(make_view, new_mixture, warned):
    truth = new_mixture()
    half = SimpleNamespace(log_prob=lambda x: truth.log_prob(x) - 0.1)
    view = make_view(truth, truth.draw(1000), held_out=truth.draw(200, 1), dataset=half)
    found = ExactLikelihood()(view)
    assert {"kl_held_out", "kl_held_out_error"}.isdisjoint(found)
    (message,) = warned.about("from held-out points")
    assert "impossible" in message


def test_paired_divergence_needs_a_density_at_each_point(make_view, warned, squares):
    held_out = torch.cat([squares.draw(20, 1), torch.tensor([[1.3, 1.3]])])
    view = make_view(
        gaussian_energy(torch.eye(2)), squares.draw(500, 0), held_out=held_out, dataset=squares
    )
    found = ExactLikelihood(points=41)(view)
    assert "kl_held_out" not in found
    assert "nll" in found
    assert warned.about("not finite at 1 of 21 held-out points")


@pytest.mark.parametrize(("error", "recorded"), [(0.0, False), (0.09, False), (0.11, True)])
def test_the_error_of_log_z_is_tolerated(make_view, new_mixture, warned, error, recorded):
    truth = new_mixture()
    x = truth.draw(300, 1)
    # with log Z of -0.101, each log q is 0.101 above log p: off by 0.1 and the tolerance of 0.001
    normaliser = SimpleNamespace(log_z=-0.101, log_z_error=error, may_miss="")
    found = of_held_out(make_view(truth, x, held_out=x, dataset=truth), normaliser, None)
    assert ("kl_held_out" in found) is recorded
    assert len(warned) == (not recorded)
