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


def test_couplings_stand_beside_the_true_ones():
    data = IsingDraws((2, 3), sigma=0.4, n=10)
    model = Ising(sigma=0.1, learns="all", event_shape=(2, 3))
    found = CouplingsPicture()(view(model, data(), dataset=data))
    edges = 9  # of 36 pairs, counted on both sides of the diagonal
    assert found["rmse"] == pytest.approx((2 * edges * 0.3**2 / 36) ** 0.5)
    picture = found["matrix"]
    assert picture.shape == (8 * 32, 15 * 32)  # two of 6 by 6 in white frames, 32 times as large
    small = picture[16::32, 16::32]
    learnt, true = small[1:7, 1:7], small[1:7, 8:14]
    torch.testing.assert_close(learnt, 0.5 + model.matrix().double() / 0.8)
    torch.testing.assert_close(true, 0.5 + data.energy.matrix() / 0.8)
    alone = CouplingsPicture()(view(model, data()))
    assert set(alone) == {"matrix"}
    with pytest.raises(ValueError, match=r"have a method matrix\(\); RBM has none"):
        CouplingsPicture()(view(RBM(2, event_shape=(6,)), data()))


def test_features_are_the_weights_largest_first():
    rbm = RBM(3, event_shape=(2, 2))
    rbm.weight.data = torch.tensor([[0.1, 0, 0, 0], [0, 2.0, 0, -2.0], [0, 0, -1.0, 0]])
    found = Features(n=2)(view(rbm, torch.zeros(1, 2, 2)))["weights"]
    small = found[:: found.shape[0] // 4, :: found.shape[1] // 7][:4, :7]
    assert small[1, 1] == 0.5
    assert small[1, 2] > 0.99
    assert small[2, 2] < 0.01
    assert 0 < small[2, 4] < 0.5
    assert (small[:, 3] == 1).all()  # the line between
    with pytest.raises(ValueError, match="features shows the weights"):
        Features()(view(Ising(event_shape=(2, 2)), torch.zeros(1, 2, 2)))
    with pytest.raises(ValueError, match=r"\(H, W\) or \(side²,\); got \(5,\)"):
        Features().check((5,))


def test_a_mosaic_fills_its_last_row_with_white():
    picture = mosaic(torch.zeros(3, 1, 1), 2)
    assert picture.tolist() == [[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1],
                                [1, 0, 1, 1, 1], [1, 1, 1, 1, 1]]  # fmt: skip
