import math

import pytest
import torch
from ebmcore_monitors.statistics.mmd import squared_mmd
from ebmcore_monitors.statistics.sliced_wasserstein import sliced_wasserstein
from ebmcore_monitors.two_sample import TwoSample


def view_of(make_view, held_out, samples, **known):
    return make_view(
        None, held_out + 50, held_out=held_out, draw=lambda n, k: samples[:n].clone(), **known
    )


def test_a_shift_is_detected_and_its_size_estimated(make_view, normal):
    x = normal(300, 2, 0).float()
    found = TwoSample(permutations=99)(view_of(make_view, x, normal(300, 2, 1).float() + 2.0))
    assert found["mmd_p"] == found["sliced_wasserstein_p"] == 0.01
    # |m|/√d = 2; each of the means has standard error √(2/300), and sampling adds a little
    assert found["sliced_wasserstein"] == pytest.approx(2.0, abs=5 * math.sqrt(2 / 300))
    assert found["mmd_squared"] > 0.3


def test_samples_of_one_density_are_not_rejected(make_view, normal):
    x = normal(200, 2, 0).float()
    found = TwoSample(permutations=99)(view_of(make_view, x, normal(200, 2, 1).float()))
    assert min(found["mmd_p"], found["sliced_wasserstein_p"]) > 0.01  # chance: 1 % each
    assert found["sliced_wasserstein"] < 0.5


def test_images_are_flattened_with_a_sample_for_each_held_out(make_view, seeded):
    images = torch.rand(40, 4, 4, generator=seeded(0))
    asked = []

    def draw(n, n_steps):
        asked.append((n, n_steps))
        return torch.rand(n, 4, 4, generator=seeded(1))

    view = make_view(None, images, held_out=images, draw=draw)
    found = TwoSample(n=30, n_steps=9, permutations=9, projections=7)(view)
    TwoSample(n=99, permutations=9)(view)
    assert asked == [(30, 9), (40, None)]
    assert set(found) == {"mmd_squared", "mmd_p", "sliced_wasserstein", "sliced_wasserstein_p"}


def test_points_that_are_all_the_same_have_no_bandwidth(make_view):
    x = torch.zeros(10, 2)
    found = TwoSample(permutations=9)(view_of(make_view, x, x))
    assert found == {"sliced_wasserstein": 0.0, "sliced_wasserstein_p": 1.0}


def test_the_errors_name_what_two_sample_needs(make_view, warned, first):
    x = torch.zeros(10, 2)
    with pytest.raises(ValueError, match=r"Set data\.holdout"):
        TwoSample()(make_view(None, x, draw=lambda n, k: x[:n]))
    with pytest.raises(ValueError, match="no sampler"):
        TwoSample()(make_view(None, x, held_out=x))
    assert TwoSample()(view_of(make_view, x, x * math.nan)) == {}
    assert warned.about("not finite")
    with pytest.raises(ValueError, match="at least 2 points"):
        squared_mmd(torch.eye(3), first(1, 2))
    with pytest.raises(ValueError, match="as many points"):
        sliced_wasserstein(torch.zeros(3, 1), first(1, 2), torch.ones(1, 1))
