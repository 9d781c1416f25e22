import math

import pytest
import torch
from ebmcore_monitors.energy_histogram import EnergyHistogram, uniform_over_box

from ebmcore import Binary, Categorical


def line(x):
    return x[:, 0]


def test_energy_histogram_by_hand(make_view):
    data = torch.tensor([[0.0], [1.0]])
    view = make_view(
        line,
        data,
        held_out=torch.tensor([[1.0], [2.0]]),
        draw=lambda n, k: torch.tensor([[3.0], [1.0], [1.0]]),
    )
    found = EnergyHistogram(n=4000)(view)
    assert found["data_mean"] == 0.5
    assert found["held_out_mean"] == 1.5
    assert found["samples_mean"] == pytest.approx(5 / 3)
    assert found["held_out_above"] == (3 + 0.5) / 4  # 1 > 0, 1 = 1, 2 > 0, 2 > 1
    assert found["samples_above"] == (2 + 2 * 0.5) / 6  # 3 > 1, 3 > 2; 1 = 1 twice
    # uniform on [0, 1], as the data's range; 4 standard errors
    assert found["uniform_mean"] == pytest.approx(0.5, abs=4 / math.sqrt(12 * 4000))
    assert found["uniform_above"] == 0.5  # over 0 always, over 1 never


def test_shares_of_gaussian_energies_are_the_closed_form(make_view, normal):
    x = normal(1000, 1, 0)
    view = make_view(line, x, held_out=normal(1000, 1, 1), x_neg=normal(1000, 1, 2) + 1.0)
    found = EnergyHistogram()(view)
    # P(N(1, 1) > N(0, 1)) = Φ(1/√2); a Mann-Whitney share has at most variance 1/(4 min(n, m))
    expected = 0.5 * (1 + math.erf(0.5))
    assert found["samples_above"] == pytest.approx(expected, abs=4 / math.sqrt(4 * 1000))
    assert found["held_out_above"] == pytest.approx(0.5, abs=4 / math.sqrt(6 * 1000))


def test_the_reference_fills_the_box(make_view):
    data = torch.zeros(5, 2, 2)
    bounds = torch.stack([torch.full((2, 2), -1.0), torch.full((2, 2), 3.0)])
    x = uniform_over_box(make_view(None, data, bounds=bounds), 3000)
    assert x.shape == (3000, 2, 2)
    assert -1 <= x.min() < -0.99
    assert 2.99 < x.max() <= 3


@pytest.mark.parametrize("space", [Binary(), Categorical(3)])
def test_the_reference_of_a_lattice_is_its_events(make_view, space):
    data = space.sample((40, 4), torch.Generator().manual_seed(0))
    view = make_view(lambda x: x.double().sum(1), data, space=space)
    x = uniform_over_box(view, 600)
    space.check(x)
    assert x.dtype == data.dtype
    shares = x.long().flatten().bincount() / 2400
    assert ((shares - 1 / len(shares)).abs() < 4 * 0.5 / math.sqrt(2400)).all()
    assert "uniform_mean" in EnergyHistogram()(view)


def test_infinite_and_missing_energies_are_left_out(make_view, warned):
    def walled(x):
        return torch.where(x[:, 0] > 1, torch.inf, x[:, 0])

    data = torch.tensor([[0.0], [1.0]])
    bounds = torch.tensor([[0.0], [2.0]])
    found = EnergyHistogram()(make_view(walled, data, bounds=bounds))
    assert set(found) == {"data_mean", "uniform_above", "figure"}
    found = EnergyHistogram()(make_view(lambda x: line(x) * torch.nan, data))
    assert found == {}
    assert len(warned.about("E is NaN at some points")) == 2


def test_the_legend_counts_energies_beyond_the_histogram(make_view):
    data = torch.linspace(0, 1, 50)[:, None]
    view = make_view(line, data, bounds=torch.tensor([[0.0], [100.0]]), x_neg=data + 0.5)
    (axes,) = EnergyHistogram(bins=20)(view)["figure"].axes
    labels = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert labels[:2] == ["data (50)", "samples (50)"]
    assert labels[2].startswith("uniform over the data's box (1,000, 9")
    assert labels[2].endswith("% further right)")
    areas = [(p.get_data().values * torch.tensor(p.get_data().edges).diff().numpy()).sum()
             for p in axes.patches]  # fmt: skip
    assert areas[:2] == pytest.approx([1.0, 1.0])


def bowl(x):
    return 0.5 * x.square().sum(1)


def test_samples_above_is_of_chains_that_never_saw_the_data(at_data, mixture, fooled, normal):
    view = at_data(bowl, mixture.draw(500), step_size=0.002, n_steps=1)
    assert EnergyHistogram()(fooled(view))["samples_above"] == pytest.approx(0.5, abs=0.05)
    found = EnergyHistogram()(view)
    assert found["samples_above"] < 0.4
    assert found["samples_mixed"] == 0
    found = EnergyHistogram()(at_data(bowl, mixture.draw(500), step_size=0.5, n_steps=20))
    # of E(sample) ~ Exp(1 / 1.33), at h = ½, above E of a centre at 4 nats, or of the one at 0
    assert found["samples_above"] == pytest.approx(0.8 * math.exp(-3) + 0.2, abs=0.06)
    assert found["samples_mixed"] == 1
    assert found["samples_rhat"] < 1.05
    fair = at_data(bowl, (normal(1000, 2, 0) / 0.75**0.5).float(), step_size=0.5, n_steps=20)
    found = EnergyHistogram()(fair)
    assert found["samples_above"] == pytest.approx(0.5, abs=4 / math.sqrt(6 * 1000))


def test_samples_above_of_unmixed_chains_is_not_sure(at_data, new_mixture, warned):
    wells = new_mixture(torch.tensor([[-5.0, 0.0], [5.0, 0.0]]), sd=1.0)
    found = EnergyHistogram()(at_data(wells, wells.draw(300), step_size=0.3, n_steps=20))
    assert found["samples_above"] == pytest.approx(0.5, abs=0.1)
    assert (found["samples_mixed"], found["samples_rhat"] > 1.5) == (0, True)
    assert warned.about("samples_above is not sure")
