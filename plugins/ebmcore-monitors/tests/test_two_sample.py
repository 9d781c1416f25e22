import math

import pytest
import torch
from ebmcore_monitors.statistics.mmd import squared_mmd
from ebmcore_monitors.statistics.sliced_wasserstein import sliced_wasserstein
from ebmcore_monitors.two_sample import TwoSample
from torch import nn

from ebmcore import Experiment, energy_and_score


def bowl(x):
    return 0.5 * x.square().flatten(1).sum(1)


def view_of(make_view, held_out, samples, **known):
    return make_view(
        bowl, held_out + 50, held_out=held_out, draw=lambda n, k: samples[:n].clone(), **known
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

    view = make_view(bowl, images, held_out=images, draw=draw)
    found = TwoSample(n=30, n_steps=9, permutations=9, projections=7)(view)
    TwoSample(n=99, permutations=9)(view)
    assert asked == [(30, 9), (40, None)]
    names = {"mmd_squared", "mmd_p", "sliced_wasserstein", "sliced_wasserstein_p", "mixed"}
    assert set(found) == names


def test_points_that_are_all_the_same_have_no_bandwidth(make_view):
    x = torch.zeros(10, 2)
    found = TwoSample(permutations=9)(view_of(make_view, x, x))
    assert found == {"sliced_wasserstein": 0.0, "sliced_wasserstein_p": 1.0, "mixed": 0.0}


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


class Bowl(nn.Module):
    """E(x) = ½ ‖x‖² + constant, of which the constant alone is trained."""

    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return bowl(x) + self.constant


def short_run(energy, x, generator):
    return (
        x
        + 0.002 * energy_and_score(energy, x)[1]
        + 0.004**0.5 * torch.randn(x.shape, generator=generator)
    )


def test_chains_that_begin_at_the_data_fool_no_verdict(at_data, mixture, fooled, tmp_path):
    """E = ½ ‖x‖² for five Gaussians, of which its density is 3.09 nats away."""
    found = {}

    def judge(view):
        found["fooled"] = TwoSample(permutations=99)(fooled(view))
        return TwoSample(permutations=99)(view)

    run = Experiment(
        data=mixture.draw(700), holdout=0.5, energy=Bowl(), sampler=short_run, n_steps=1,
        loss=lambda energy, x, x_neg: energy(x).mean() - energy(x_neg).mean(), device="cpu",
        chains=lambda x, generator: x.clone(), monitors=[(judge, "end")],
    ).run(steps=1, batch_size=20, tracking="off", progress=False, runs_dir=tmp_path)  # fmt: skip
    assert min(verdicts(found["fooled"])) > 0.05
    short = {name.removeprefix("judge/"): value for name, value in run.metrics.items()}
    assert max(verdicts(short)) < 0.05  # noise is no sample of it either
    assert short["mixed"] == 0
    (message,) = {text for text in run.warnings if "not sure" in text}  # of both
    assert "10 steps, and R-hat needs 31" in message
    far = at_data(bowl, mixture.draw(200), step_size=0.5, n_steps=20)
    found = TwoSample(permutations=199)(far)
    assert max(verdicts(found)) < 0.01
    assert found["mixed"] == 1
    assert found["rhat"] < 1.05


def test_p_values_that_can_not_be_small_are_told(make_view, warned, normal):
    """3 points of each have 20 splits, two of which are the observed one; 4 have 70."""
    for n, permutations, smallest in ((3, 199, "0.1"), (4, 18, "0.053"), (4, 19, ""), (9, 19, "")):
        x = normal(n, 2, 0)
        found = TwoSample(permutations=permutations)(view_of(make_view, x, x + 99.0))
        if smallest:
            assert f"can fall under {smallest} with {n} held-out points" in warned.pop()
            assert found["mmd_p"] > 0.05
        assert not warned.about("held-out points")


def verdicts(found):
    return found["mmd_p"], found["sliced_wasserstein_p"]


def test_p_values_of_a_fair_energy_are_uniform(at_data, normal, warned):
    """The law of Langevin at step size h is N(0, 1 / (1 - h / 2)) on E = ½ ‖x‖²."""
    runs = 24
    monitor = TwoSample(permutations=19, projections=5, n_steps=64)
    found = [
        monitor(
            at_data(bowl, (normal(30, 1, 100 + i) / 0.75**0.5).float(), step_size=0.5, n_steps=1,
                    seed=i)
        )
        for i in range(runs)
    ]  # fmt: skip
    for values in zip(*(verdicts(each) for each in found), strict=True):
        for level in (0.25, 0.5, 0.75):
            share = sum(p <= level for p in values) / runs
            assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / runs)
    assert [each["mixed"] for each in found].count(1.0) > 0.9 * runs


def test_wells_that_no_chain_crosses_leave_the_verdict_unsure(at_data, new_mixture, warned):
    wells = new_mixture(torch.tensor([[-5.0, 0.0], [5.0, 0.0]]), sd=1.0)
    view = at_data(wells, wells.draw(200), step_size=0.3, n_steps=20)
    found = TwoSample(permutations=99)(view)
    assert min(verdicts(found)) > 0.01
    assert found["rhat"] > 1.5
    assert found["mixed"] == 0
    (message,) = warned
    assert "the verdict of the p-values is not sure" in message
    assert "R-hat is" in message
