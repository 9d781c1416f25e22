"""Each diagnosis on both sides of its threshold, a tenth of it away."""

import math
from collections import namedtuple
from dataclasses import replace

import pytest
import torch
from ebmcore_monitors.diagnoses.collapse import collapsed_samples
from ebmcore_monitors.diagnoses.drift import _grows, drift
from ebmcore_monitors.diagnoses.evidence import Evidence
from ebmcore_monitors.diagnoses.explosion import exploding_gradients
from ebmcore_monitors.diagnoses.gap import gap
from ebmcore_monitors.diagnoses.left_behind import left_behind
from ebmcore_monitors.diagnoses.movement import acceptance, barely_moving, displacement, rejecting
from ebmcore_monitors.diagnoses.overfit import excess, overfit
from ebmcore_monitors.diagnoses.scales import badly_scaled

from ebmcore import Binary, Trace

BELOW_AND_ABOVE = pytest.mark.parametrize("near", [0.9, 1.1])
Info = namedtuple("Info", "acceptance")
# above_data each 25 steps: of 14×14 digits that turn to noise from step 350 on (Langevin, step 0.01
# at temperature 0.005), and of examples/images/from_disk.yaml
TURNING = [0.81, 0.28, 0.14, 0.22, 0.2, 0.27, 0.22, 0.31, 0.38, 0.45, 0.47, 0.44, 0.39, 0.52, 0.59]
HOLDING = [0.0, 0.02, 0.05, 0.2, 0.09, 0.11, 0.12, 0.25]


@pytest.fixture
def evidence(make_view):
    """Return evidence of a view: energies are 0 in the mean, of standard deviation 1."""
    of_data = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)

    def make(history=None, data=None, x_neg=None, info=None, **known):
        data = torch.tensor([[3.0, 4.0], [-3.0, -4.0]]) if data is None else data
        view = make_view(None, data, x_neg=x_neg, info=info, step=99, history=history or {})
        given = {"of_data": of_data, "of_held_out": None, "of_samples": None, "trace": None}
        return Evidence(view=view, **given | known)

    return make


def recorded(name, values):
    return {f"advice/{name}": list(enumerate(values))}


@BELOW_AND_ABOVE
def test_samples_collapse_below_a_quarter_of_the_scale(evidence, near):
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    found = collapsed_samples(evidence(data=x, x_neg=0.25 * near * x))
    assert found.detected is (near < 1)
    assert collapsed_samples(evidence(data=x, x_neg=x[:8])) is not None
    assert collapsed_samples(evidence(data=x, x_neg=x[:7])) is None


@BELOW_AND_ABOVE
def test_columns_are_badly_scaled_from_tenfold(evidence, near):
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    x = x / x.std(0) * torch.tensor([1.0, 0.0, 10 * near])
    found = badly_scaled(evidence(data=x))
    assert found.detected is (near > 1)
    assert "1 of 2 columns have less" in found.text or near < 1
    for known in ({"space": Binary()}, {"data_mask": x > 0}):
        given = evidence(data=x)
        assert badly_scaled(replace(given, view=replace(given.view, **known))) is None
    assert badly_scaled(evidence(data=x[:, :2])) is None  # one column varies
    assert badly_scaled(evidence(data=x[:, :, None])) is None


@BELOW_AND_ABOVE
def test_gradients_explode_at_a_hundredfold(evidence, near):
    """The median of the last three is compared with that of the first half."""
    norms = [0.2, 2.0, 20.0, 1e9, 0.0, 200.0 * near, 1e9]
    assert exploding_gradients(evidence({"train/grad_norm": list(enumerate(norms))})).detected is (
        near > 1
    )
    few = list(enumerate(norms[:6]))
    assert exploding_gradients(evidence({"train/grad_norm": few})) is not None
    assert exploding_gradients(evidence({"train/grad_norm": few[:5]})) is None


@BELOW_AND_ABOVE
@pytest.mark.parametrize("side", [-1, 1])
def test_a_gap_stays_beyond_two_spreads(evidence, side, near):
    series = [0.0] * 5 + [side * 9.0] * 4 + [side * 2.0 * near]
    assert gap(evidence(recorded("gap_in_spreads", series))).detected is (near > 1)
    both = [0.0] * 5 + [9.0, 9.0, -9.0, 9.0, 9.0]
    assert gap(evidence(recorded("gap_in_spreads", both))).detected is False
    assert gap(evidence(recorded("gap_in_spreads", series[1:]))) is None


@BELOW_AND_ABOVE
def test_samples_are_left_behind_when_half_of_them_rise(evidence, near):
    """The data's energies are -1, 0 and 1; so many of 100 samples have 4.1, and the others 3.9."""
    high, low = torch.full((100,), 4.1).double(), torch.full((100,), 3.9).double()
    share = 50 * near
    of_samples = torch.cat([high[: round(share)], low[round(share) :]])
    held = {"of_samples": of_samples}
    assert evidence(**held).numbers()["above_data"] == pytest.approx(share / 100)
    turned = recorded("above_data", [1.0, 0.5, 0.51])
    assert left_behind(evidence(turned, **held)).detected is (near > 1)
    for others in ([1.0, 0.9, 0.8], [0.9, 0.1, 0.5]):  # never came down; only one call
        assert not left_behind(evidence(recorded("above_data", others), **held)).detected
    assert left_behind(evidence(recorded("above_data", [0.1]), **held)) is None


@pytest.mark.parametrize(
    ("shares", "told"),
    [(TURNING, 375), (TURNING[:-1], None), (HOLDING, None)],
    ids=["turns", "before", "holds"],
)
def test_digits_that_turn_to_noise_are_told(evidence, shares, told):
    for looks in range(3, len(shares) + 1):
        samples = torch.zeros(100).double()
        samples[: round(100 * shares[looks - 1])] = 9.0
        history = recorded("above_data", shares[: looks - 1])
        if left_behind(evidence(history, of_samples=samples)).detected:
            assert 25 * looks == told
            return
    assert told is None


def moves(share):
    """A trace of three chains over data of scale √50, whose median moves by a share of it."""
    way = torch.tensor([0.0, share * math.sqrt(50), 99.0])[:, None] * torch.tensor([0.6, 0.8])
    return Trace(torch.stack([torch.zeros(3, 2), 7 * torch.ones(3, 2), way]), None)


@BELOW_AND_ABOVE
def test_chains_barely_move_below_a_hundredth_of_the_scale(evidence, near):
    data = torch.tensor([[5.0, 0.0], [-5.0, 0.0]])  # of variance 50
    known = {"data": data, "trace": moves(0.01 * near)}
    assert displacement(evidence(**known)) == pytest.approx(0.01 * near)
    assert barely_moving(evidence(**known)).detected is (near < 1)


@BELOW_AND_ABOVE
def test_a_kernel_is_stuck_below_one_acceptance_in_twenty(evidence, near):
    info = Info(torch.tensor([0.0, 0.1 * near]))
    found = evidence(info=info, data=torch.tensor([[5.0, 0.0], [-5.0, 0.0]]), trace=moves(0.001))
    assert acceptance(found) == pytest.approx(0.05 * near)
    assert rejecting(found).detected is (near < 1)
    assert barely_moving(found).detected is (near > 1)  # what is rejected isn't too small


@BELOW_AND_ABOVE
def test_energies_overfit_beyond_four_errors(evidence, near):
    of_data = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    found = evidence(of_held_out=of_data + 4 * near * math.sqrt(2 / 3))
    assert excess(found) == pytest.approx(4 * near)
    assert overfit(found).detected is (near > 1)


@BELOW_AND_ABOVE
def test_energies_drift_beyond_25_spreads(evidence, near):
    series = [25.0 * near * share / 4 for share in (0, 0, 0, 0, 1, 2, 3, 4)]
    known = {"of_samples": None, "of_data": torch.tensor([0.0, math.sqrt(2)]).double()}
    now = 25.0 * near
    known["of_data"] = known["of_data"] - known["of_data"].mean() + now
    history = recorded("energy_of_data", series[:-1])
    assert drift(evidence(history, **known)).detected is (near > 1)
    assert drift(evidence(recorded("energy_of_data", series[:6]), **known)) is None


def test_drift_is_steady_in_nine_of_ten_and_half_lasts():
    up = [float(value) for value in range(11)]
    assert _grows([*up[:5], 3.5, *up[6:]], 9.0)  # 9 of 10 changes go outwards
    assert not _grows([*up[:3], 1.5, *up[4:8], 6.5, *up[9:]], 9.0)
    assert _grows([0.0, 10.0, 15.5], 9.0)
    assert not _grows([0.0, 10.0, 14.5], 9.0)
