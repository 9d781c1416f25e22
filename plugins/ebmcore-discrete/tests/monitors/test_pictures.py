"""Pictures of couplings and features: which weight is where, and the couplings' error."""

import pytest
import torch
from ebmcore_discrete import RBM, Ising, IsingDraws
from ebmcore_discrete.monitors.couplings import CouplingsPicture
from ebmcore_discrete.monitors.features import Features
from ebmcore_discrete.monitors.pictures import mosaic

from ebmcore import Binary, RunView


def view(energy, data, **known):
    return RunView(energy=energy, data=data, held_out=data[:0], space=Binary(),
                   generator=torch.Generator(), **known)  # fmt: skip


def shown(figure):
    """Return the titles of a figure's panels with what each shows, and the bar's label."""
    *panels, bar = figure.axes
    return {a.get_title(): torch.tensor(a.images[0].get_array().data) for a in panels}, bar


def test_couplings_stand_beside_the_true_ones():
    data = IsingDraws((2, 3), sigma=0.4, n=10)
    model = Ising(sigma=0.1, learns="all", event_shape=(2, 3))
    found = CouplingsPicture()(view(model, data(), dataset=data))
    edges = 9  # of 36 pairs, counted on both sides of the diagonal
    assert found["rmse"] == pytest.approx((2 * edges * 0.3**2 / 36) ** 0.5)
    panels, bar = shown(found["matrix"])
    assert list(panels) == ["learnt, rmse 0.212", "of the data"]
    learnt, true = panels.values()
    torch.testing.assert_close(learnt, model.matrix().detach().double())
    torch.testing.assert_close(true, data.energy.matrix().double())
    assert bar.get_ylim() == pytest.approx((-0.4, 0.4))
    assert bar.get_ylabel() == "J, in nats"
    alone = CouplingsPicture()(view(model, data()))
    assert set(alone) == {"matrix"}
    assert list(shown(alone["matrix"])[0]) == ["learnt"]
    with pytest.raises(ValueError, match=r"have a method matrix\(\); RBM has none"):
        CouplingsPicture().check((6,), RBM(2, event_shape=(6,)))


def test_features_are_the_weights_largest_first():
    rbm = RBM(3, event_shape=(2, 2))
    rbm.weight.data = torch.tensor([[0.1, 0, 0, 0], [0, 2.0, 0, -2.0], [0, 0, -1.0, 0]])
    panels, _ = shown(Features(n=2)(view(rbm, torch.zeros(1, 2, 2)))["weights"])
    (tiles,) = panels.values()
    assert list(panels) == ["2 of 3 hidden bits, the strongest first"]
    nan = torch.nan
    expected = torch.tensor([[0, 2, nan, 0, 0], [0, -2, nan, -1, 0]]).double()
    torch.testing.assert_close(tiles, expected, equal_nan=True)
    with pytest.raises(ValueError, match=r"features shows the weights .* Ising has none"):
        Features().check((2, 2), Ising(event_shape=(2, 2)))
    with pytest.raises(ValueError, match=r"\(H, W\) or \(side²,\); got \(5,\)"):
        Features().check((5,), rbm)


def test_a_mosaic_fills_its_last_row_with_nothing():
    picture = mosaic(torch.zeros(3, 1, 1)).isnan().int()
    assert picture.tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 1]]
