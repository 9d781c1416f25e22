"""Fidelity of a run's samples: figures of good and bad ones, their floor, and what it refuses."""

import pytest
import torch
from ebmcore_monitors.fidelity import Fidelity
from ebmcore_monitors.fidelity.judge import Judged
from ebmcore_monitors.fidelity.judgement import sure_of


def test_samples_of_the_law_are_at_the_floor_and_others_far_from_it(seen, points):
    monitor = Fidelity(n=150)
    found = monitor(seen(points(150, 2)[0]))
    assert found["accuracy"] > 0.95
    assert found["frechet"] < 1.5 * found["frechet_floor"]
    assert abs(found["kernel"] - found["kernel_floor"]) < 0.1
    assert (found["confident"] > 0.95, found["confident_floor"] > 0.95) == (True, True)
    assert found["classes"] == 3
    view = seen(lambda n: torch.randn(n, 8, 8, generator=torch.Generator().manual_seed(3)))
    noise = monitor(view)
    assert noise["frechet"] > 10 * found["frechet_floor"]
    assert noise["kernel"] > 0.3
    assert noise["confident"] < 0.9
    data, y = points(400, 0)
    collapsed = monitor(seen(data[y == 1][:150], data=data))
    assert (collapsed["classes"], collapsed["confident"] > 0.95) == (1, True)
    assert collapsed["frechet"] > 10 * collapsed["frechet_floor"]


def test_a_run_has_one_judge_which_is_trained_again_to_the_same_bits(seen, points):
    view = seen(points(80, 2)[0])
    first = Fidelity(n=80)
    numbers = first(view)
    judge = first._judgement.judge
    assert (first(view), first._judgement.judge is judge) == (numbers, True)
    assert Fidelity(n=80)(view) == numbers
    other = seen(points(80, 2)[0], data=points(400, 5)[0], data_y=points(400, 5)[1])
    assert first(other) != numbers


def test_labels_may_be_any_whole_numbers(seen, points):
    view = seen(points(80, 2)[0])
    moved = {"data_y": view.data_y * 5 - 2, "held_out_y": view.held_out_y * 5 - 2}
    assert Fidelity(n=80)(seen(view.sample(80), **moved)) == Fidelity(n=80)(view)


class Doubled:
    """A transform x' = 2x + 3."""

    def inverse(self, x, mask=None):
        return (x - 3) / 2


def test_points_are_judged_in_the_units_of_the_data(seen, points):
    view = seen(points(80, 2)[0])
    turned = {"data": 2 * view.data + 3, "held_out": 2 * view.held_out + 3}
    found = Fidelity(n=80)(seen(2 * view.sample(80) + 3, transforms=Doubled(), **turned))
    assert found == pytest.approx(Fidelity(n=80)(view), rel=0.05, abs=0.01)


def test_a_poor_judge_is_told_once(seen, points):
    warnings = []
    labels = {
        name: torch.randint(3, (n,), generator=torch.Generator().manual_seed(n))
        for name, n in (("data_y", 400), ("held_out_y", 150))
    }
    view = seen(points(80, 2)[0], warn=warnings.append, **labels)
    monitor = Fidelity(n=80)
    assert monitor(view)["accuracy"] < 0.6
    monitor(view)
    assert [text[:33] for text in warnings] == ["fidelity's classifier is right on"]


def test_samples_that_are_not_finite(seen, points):
    warnings = []
    samples = points(80, 2)[0]
    samples[3, 2, 1] = torch.nan
    assert Fidelity(n=80)(seen(samples, warn=warnings.append)) == {}
    assert "not finite, so fidelity can't compare" in warnings[0]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"data_y": None}, "these have no labels; take two_sample"),
        ({"data_y": torch.rand(400)}, r"found labels of shape \(400,\), torch.float32"),
        ({"data_y": torch.zeros(400, 2).long()}, r"found labels of shape \(400, 2\)"),
        ({"data_y": torch.ones(400).long()}, "these have one label alone"),
        ({"held_out": torch.zeros(1, 8, 8)}, r"this run has 1\. Set data\.holdout"),
        ({"draw": None}, "this run has no sampler"),
    ],
)
def test_runs_that_it_can_not_judge(seen, points, other, message):
    view = seen(points(80, 2)[0])
    view = type(view)(**{**vars(view), **other})
    with pytest.raises(ValueError, match=message):
        Fidelity()(view)


def test_the_share_of_sure_points_and_their_classes():
    p = torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.3, 0.2], [0.02, 0.97, 0.01], [0.95, 0.05, 0.0]])
    assert sure_of(Judged(p, p), 0.9) == (0.75, 2)
    assert sure_of(Judged(p, p), 0.96) == (0.25, 1)
