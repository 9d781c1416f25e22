"""The eager step on parts whose numbers are known."""

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import ebmcore
from ebmcore import Chains, Sample, Start
from ebmcore.config import read_train
from ebmcore.contracts import Conditions
from ebmcore.train.ema import Average
from ebmcore.train.step import TrainStep

X = torch.arange(8.0).reshape(4, 2)


class Line(nn.Module):
    """E(x) = w·x, with the running sum of its batches in a buffer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        if self.training:
            self.seen += len(x)
        return x @ self.weight


class Labelled(Line):
    """The same where y is required."""

    def forward(self, x, y):
        return super().forward(x) + y


class Masked(Line):
    """The same where a mask is named."""

    def forward(self, x, mask=None):
        return super().forward(x)


class Info(NamedTuple):
    steps: Tensor


class Shifts:
    """A sampler of its own loop: moves by 1 and carries how far."""

    carries = ("moved",)

    def sample(self, energy, x, n_steps, generator, carried):
        moved = carried.or_new("moved", x.new_zeros(len(x))) + 1
        noise = torch.randn(x.shape, generator=generator)
        return Sample(x + 1 + 0 * noise, Info(moved), {"moved": moved})


class Heard(Chains):
    """Chains that begin at twice the batch and remember what they were given."""

    def __init__(self):
        self.ends, self.slots, self.carried = [], [], {}

    def start(self, x, y, mask, generator):
        self.slots.append((y, mask))
        torch.rand(1, generator=generator)
        return Start(2 * x, carried=self.carried)

    def keep(self, end):
        self.ends.append(end)
        self.carried = end.carried


def sums(energy, x):
    return energy.weight.sum()


def gap(energy, x, x_neg):
    return x.mean() - x_neg.mean() + 0 * energy.weight.sum()


def step_of(loss, energy=Line, train=None, optimizer=None, **parts):
    if loss is gap or parts.pop("sampled", False):
        parts |= {"sampler": Shifts(), "chains": Heard(), "n_steps": 1}
    x = X.repeat(3, 1)
    data = (x, torch.arange(12)) if energy is Labelled else x
    experiment = ebmcore.Experiment(
        data=data, energy=energy(), loss=loss, holdout=0.0, device="cpu",
        optimizer=optimizer or (lambda p: torch.optim.SGD(p, lr=1.0)), **parts,
    )  # fmt: skip
    given = read_train({"steps": 9, "batch_size": 4, **(train or {})})
    made = experiment.assemble()
    return TrainStep(made, given, experiment.streams, Average(made.energy, 0.75))


def stream(step, purpose):
    return torch.Generator().manual_seed(step.streams.derived(purpose))


def test_data_noise_is_a_standard_deviation():
    step = step_of(sums, train={"data_noise": 0.1})
    noise = step.add_noise(torch.zeros(20_000, 2))
    assert noise.std().item() == pytest.approx(0.1, rel=5 / math.sqrt(80_000))
    assert torch.equal(noise, 0.1 * torch.randn(20_000, 2, generator=stream(step, "data noise")))
    assert step.add_noise(torch.zeros(3, 2, dtype=torch.float64)).dtype == torch.float64
    plain = step_of(sums)
    assert plain.add_noise(X) is X


def test_losses_count_by_their_weights_and_are_logged_without():
    step = step_of([(sums, 0.25), (lambda energy, x: energy(x).sum(), 3.0)])
    for _ in range(2):  # the gradient of a step is its own
        done = step.compute(X, Conditions(), 0)
        torch.testing.assert_close(step.parts.energy.weight.grad, 0.25 + 3 * X.sum(0))
        assert done.metrics["loss/sums"] == 3.0
        assert done.metrics["loss"] == 0.75 + 3 * (X @ torch.tensor([1.0, 2.0])).sum()
    norm = (0.25 + 3 * X.sum(0)).norm()
    torch.testing.assert_close(done.metrics["train/grad_norm"], norm)


def test_the_average_follows_the_weights_after_each_step():
    step, found, expected = step_of(sums), [], []
    for number in range(3):
        step(X, Conditions(), number)
        weight = step.parts.energy.weight.detach()
        expected.append(0.75 * expected[-1] + 0.25 * weight if expected else weight.clone())
        found.append(step.averaged.module.weight.detach().clone())
    torch.testing.assert_close(found, expected)
    assert step.averaged.n_averaged == 3
    assert step.parts.energy.weight.tolist() == [-2.0, -1.0]


def test_buffers_are_copied_into_the_average():
    step = step_of(lambda energy, x: energy(x).sum())
    for number in range(3):
        step(X, Conditions(), number)
        assert step.averaged.module.seen == step.parts.energy.seen == 4 * (number + 1)


def test_networks_are_averaged_too():
    def follows(shift, x):
        return shift(x).sum()

    follows.trains = "shift"
    step = step_of([sums, follows], networks={"shift": nn.Linear(2, 1)})
    network = step.parts.networks["shift"]
    step.averaged_networks = {"shift": Average(network, 0.75)}
    for number in range(2):
        before = [p.detach().clone() for p in network.parameters()]
        step(X, Conditions(), number)
        now = [p.detach() for p in network.parameters()]
        assert not torch.equal(before[0], now[0])
    mean = step.averaged_networks["shift"].module.parameters()
    expected = [0.75 * one + 0.25 * other for one, other in zip(before, now, strict=True)]
    torch.testing.assert_close([p.detach() for p in mean], expected)


def test_chains_are_kept_when_the_step_is_applied():
    step = step_of(gap, energy=Masked)
    mask = torch.ones(4, 2, dtype=torch.bool)
    conditions = Conditions(torch.arange(4), mask)
    for number in range(2):
        proposal = step.compute(X, conditions, number)
        heard = step.parts.chains
        assert len(heard.ends) == number
        step.apply(proposal, number)
        end = heard.ends[-1]
        assert len(heard.ends) == number + 1
        assert torch.equal(end.x, 2 * X + 1)
        assert end.carried["moved"].tolist() == [number + 1.0] * 4
        assert proposal.info.steps.tolist() == [number + 1.0] * 4
        assert torch.equal(end.mask, mask)
        assert (end.y, heard.slots[-1][0]) == (None, None)  # this energy takes no labels
        assert heard.slots[-1][1] is mask
    assert proposal.metrics["samples"] == (2 * X + 1).sum()
    assert proposal.metrics["loss"] == X.mean() - (2 * X + 1).mean()


def test_chains_are_kept_once_for_a_loss_that_names_them():
    def counts(energy, x_neg, chains):
        return 0 * energy.weight.sum() + len(chains.ends)

    step = step_of(counts, sampled=True)
    for number in range(2):
        proposal = step.compute(X, Conditions(), number)
        assert proposal.metrics["loss"] == number + 1
        step.apply(proposal, number)
        assert len(step.parts.chains.ends) == number + 1


def test_a_loss_gets_the_conditions_of_its_own_points():
    def tells(energy, x_neg, y, y_neg, step):
        return 0 * energy.weight.sum(), {"y": y.sum(), "y_neg": y_neg.sum(), "step": step}

    step = step_of(tells, energy=Labelled, sampled=True)
    y = torch.arange(4)
    step.parts.chains.start = lambda x, y, mask, generator: Start(x, 10 * y)
    found = step.compute(X, Conditions(y), 7).metrics
    assert [float(found[f"loss/tells/{name}"]) for name in ("y", "y_neg", "step")] == [6, 60, 7]


def test_each_purpose_has_its_stream():
    def draws(energy, x, x_neg, generator):
        return energy.weight.sum() * 0 + torch.rand((), generator=generator)

    step = step_of([draws, (draws, 2.0)], sampled=True)
    step(X, Conditions(), 0)
    chains, sampler = stream(step, "chains"), stream(step, "sampler")
    torch.rand(1, generator=chains)
    torch.randn(4, 2, generator=sampler)
    made = step.streams.items()
    assert torch.equal(made["chains"].get_state(), chains.get_state())
    assert torch.equal(made["sampler"].get_state(), sampler.get_state())
    assert {"loss draws", "loss draws_2"} <= made.keys()


def test_numbers_that_a_loss_logs_are_those_of_its_step():
    def shows(energy, x):
        return energy.weight.sum(), {"weight": energy.weight[0]}

    step = step_of(shows)
    assert step(X, Conditions(), 0).metrics["loss/shows/weight"] == 1.0


def test_losses_of_the_second_order_are_differentiable_twice():
    def second(energy, x):
        return energy.weight.sum()

    assert not step_of(second).second_order
    second.order = 2
    assert step_of([sums, second]).second_order
