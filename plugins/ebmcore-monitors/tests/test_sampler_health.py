import math
from typing import NamedTuple

import pytest
import torch
from ebmcore_monitors.sampler_health import SamplerHealth
from torch import Tensor, nn

from ebmcore import Trace


def bowl(x):
    return 0.5 * x.square().flatten(1).sum(1)


@pytest.fixture
def independent(make_view):
    """A view of a sampler that draws from N(0, I) afresh at each step."""

    def make(**known):
        g = torch.Generator().manual_seed(2)
        x = torch.randn(500, 3, generator=g)
        info = known.pop("info", None)
        return make_view(
            bowl,
            x,
            walk=lambda n, k, thin: Trace(torch.randn(k // thin, n, 3, generator=g), info),
            draw=known.pop("draw", lambda n, k: torch.randn(n, 3, generator=g)),
            **known,
        )

    return make


def test_independent_draws_are_worth_their_number(independent):
    found = SamplerHealth(n_chains=16, n_steps=400, thin=1)(independent())
    names = {"energy", "x1", "x2"}
    assert {name for name in found if name.startswith("rhat")} == {f"rhat_{n}" for n in names}
    for name in names:
        assert found[f"rhat_{name}"] < 1.01
        assert 0.8 < found[f"ess_bulk_{name}"] / 6400 < 1.3
        assert 0.8 < found[f"ess_tail_{name}"] / 6400 < 1.3
    assert found["mcse_x1"] == pytest.approx(1 / math.sqrt(6400), rel=0.15)  # of N(0, 1)
    assert found["mcse_energy"] == pytest.approx(math.sqrt(1.5 / 6400), rel=0.15)  # χ²₃/2
    # E‖∇E‖ = mean of a chi with 3 degrees of freedom, 2 √(2/π); 1,000 points, 4 standard errors
    mean = 2 * math.sqrt(2 / math.pi)
    assert found["score_norm"] == pytest.approx(mean, abs=4 * math.sqrt((3 - mean**2) / 1000))
    assert {"acceptance", "divergences", "r_s", "d_s", "long_run_gap"}.isdisjoint(found)


def test_swaps_and_round_trips_are_returned(independent):
    class Swaps(NamedTuple):
        swap_rate: Tensor  # (kept, chains, pairs)
        round_trips: Tensor  # (kept, chains), since the chains began

    rates = torch.tensor([0.5, 0.1, 0.3]).expand(200, 8, 3)
    trips = 7 + torch.arange(200)[:, None].div(50, rounding_mode="floor").expand(200, 8)
    found = SamplerHealth(n_chains=8)(independent(info=Swaps(rates, trips)))
    assert found["swap_rate"] == pytest.approx(0.3)
    assert found["lowest_swap_rate"] == pytest.approx(0.1)
    assert found["round_trips"] == 3


def test_the_kernels_diagnostics_are_returned(independent, langevin):
    class Reported(NamedTuple):
        score_norm: Tensor
        acceptance: Tensor
        divergent: Tensor

    info = Reported(
        torch.full((200, 8), 7.0), torch.full((200, 8), 0.25), (torch.arange(1600) < 3).view(200, 8)
    )
    view = independent(info=info, kernel=langevin)
    found = SamplerHealth(n_chains=8, n_steps=400)(view)
    told = [found[n] for n in ("score_norm", "acceptance", "divergences", "implied_temperature")]
    assert told == [7.0, 0.25, 3.0, 0.5]
    assert found["step_ratio"] == pytest.approx(found["r_s"] / found["r_noise"])


def test_gap_of_energies_by_hand(independent):
    view = independent(x_neg=torch.ones(5, 3))
    found = SamplerHealth(n_chains=2, n_steps=40)(view)
    assert found["d_s"] == pytest.approx(bowl(view.data).mean().item() - 1.5, abs=1e-6)


def test_long_run_is_compared_in_standard_errors(independent):
    asked = []

    def draw(n, n_steps):
        asked.append((n, n_steps))
        return torch.tensor([[2.0, 0.0, 0.0], [0.0, 4.0, 0.0]])  # energies 2 and 8

    held_out = torch.tensor([[2.0, 0, 0], [0, 2, 2], [0, 2, 0], [0, 0, 2]])  # 2, 4, 2, 2
    view = independent(draw=draw, held_out=held_out, n_steps=7)
    found = SamplerHealth(n_chains=2, n_steps=40, long_run=100)(view)
    assert asked == [(2, 700)]
    assert found["long_run_gap"] == pytest.approx(2.5 - 5.0)
    error = math.sqrt(18 / 2 + 1 / 4)
    assert found["long_run_errors"] == pytest.approx(-2.5 / error)


@pytest.mark.parametrize(
    ("steps", "advice"), [({"step_size": 1.0}, "sampler.step_size"), ({}, "parallel_tempering")]
)
def test_chains_that_do_not_move_warn_once(make_view, warned, steps, advice):
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    still = make_view(
        bowl, x, walk=lambda n, k, thin: Trace(x[:n].expand(k // thin, n, 2), None),
        kernel=type("Still", (), steps)(),
    )  # fmt: skip
    health = SamplerHealth(n_chains=4, n_steps=60)
    found = health(still)
    health(still)
    assert "rhat_energy" not in found
    assert all(math.isfinite(value) for name, value in found.items() if name != "figure")
    (message,) = warned
    assert advice in message


def test_picture_shows_chains_and_the_band_of_the_data(independent):
    view = independent(step=40, epoch=2.0)
    (axes,) = SamplerHealth(n_chains=12, n_steps=100, thin=4)(view)["figure"].axes
    traces = [line for line in axes.lines if len(line.get_xdata()) == 25]
    assert len(traces) == 8
    assert traces[0].get_xdata()[:2].tolist() == [4, 8]
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == ["data, 5 % to 95 %", "data, median", "8 of 12 chains"]


def test_health_needs_a_sampler_and_a_thin_that_fits(make_view):
    with pytest.raises(ValueError, match="no sampler"):
        SamplerHealth()(make_view(bowl, torch.zeros(4, 2)))
    with pytest.raises(ValueError, match="thin should be at most n_steps, 5; got 6"):
        SamplerHealth(n_steps=5, thin=6)


def test_long_runs_begin_without_the_data(at_data, mixture, fooled, new_mixture, normal, warned):
    health = SamplerHealth(n_chains=120, n_steps=16, thin=1, long_run=10)
    view = at_data(bowl, mixture.draw(300), step_size=0.002, n_steps=1)
    found = health(fooled(view))
    assert abs(found["long_run_errors"]) < 3
    found = health(view)
    assert found["long_run_errors"] > 3
    assert found["long_run_mixed"] == 0
    found = health(at_data(bowl, mixture.draw(300), step_size=0.5, n_steps=20))
    assert found["long_run_gap"] == pytest.approx(0.5 * (0.8 * 8 + 2 * 0.09) - 4 / 3, abs=1)
    assert found["long_run_errors"] > 4
    assert found["long_run_mixed"] == 1
    fair = at_data(bowl, (normal(300, 2, 0) / 0.75**0.5).float(), step_size=0.5, n_steps=20)
    assert abs(health(fair)["long_run_errors"]) < 4
    assert len(warned.about("long_run_gap is not sure")) == 1  # once per run
    wells = new_mixture(torch.tensor([[-5.0, 0.0], [5.0, 0.0]]), sd=1.0)
    health = SamplerHealth(n_chains=40, n_steps=16, thin=1, long_run=10)
    found = health(at_data(wells, wells.draw(300), step_size=0.3, n_steps=20))
    assert abs(found["long_run_errors"]) < 4
    assert (found["long_run_mixed"], found["long_run_rhat"] > 1.5) == (0, True)
    assert len(warned.about("long_run_gap is not sure")) == 2


def test_rhat_compares_chains_of_one_label(make_view):
    """Chains of two labels, each about its own centre, agree as well as those of one."""
    g = torch.Generator().manual_seed(0)

    class OfLabel(nn.Module):
        def forward(self, x, y):
            return 0.5 * (x[:, 0] - 8.0 * y).square() + 100.0 * y

    def walk(n, k, thin, y):
        return Trace(8.0 * y[None, :, None] + torch.randn(k // thin, n, 1, generator=g), None)

    y = torch.arange(40) % 2
    view = make_view(
        OfLabel(), 8.0 * y[:, None].float(), data_y=y, walk=walk,
        draw=lambda n, k, y: walk(n, k, k, y).x[-1],
    )  # fmt: skip
    found = SamplerHealth(n_chains=16, n_steps=200, thin=1, long_run=10)(view)
    for name in ("rhat_energy", "rhat_x1", "long_run_rhat"):
        assert found[name] < 1.05
    assert 0.8 < found["ess_bulk_x1"] / 3200 < 1.3
    assert found["long_run_mixed"] == 1
