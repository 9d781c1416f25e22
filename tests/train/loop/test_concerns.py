"""The concerns that the loop is made of, each by itself."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ebmcore.contracts import Conditions, Start
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import DivergenceError
from ebmcore.train.loop import checkpoint_schedule
from ebmcore.train.loop.checkpoint_schedule import CheckpointSchedule
from ebmcore.train.loop.energies import energies_of
from ebmcore.train.loop.pending_metrics import PendingMetrics
from ebmcore.train.loop.skips import Skips
from ebmcore.train.types import StepResult

ALONE = Ranks(RankInfo())
CPU = torch.device("cpu")


class Two:
    """Two ranks, of which the other has `other`."""

    size, rank = 2, 0

    def __init__(self, other):
        self.other = other

    def all_gather(self, tensor):
        return [tensor, self.other]


class Bowl(nn.Module):
    """E(x) = x·w in evaluation mode; in training it is off by 100, and draws."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        return x @ self.weight + 100.0 * self.training + 0 * torch.rand(())


class Part:
    """A part whose state is changed in place."""

    def __init__(self):
        self.held = {"n": torch.zeros(())}

    def state_dict(self):
        return self.held

    def load_state_dict(self, state):
        self.held = {"n": state["n"].clone()}


def parts_of(**known):
    return SimpleNamespace(
        **{"energy": Bowl(), "networks": {}, "losses": (), "device": CPU, "chains": None, **known},
        label=str,
    )


def test_energies_are_of_evaluation_and_largest_in_size():
    parts = parts_of()
    x, x_neg = torch.tensor([[1.0], [2.0], [-9.0]]), torch.tensor([[4.0], [5.0]])
    state = torch.get_rng_state()
    found = energies_of(StepResult(x, x_neg, None, {}), parts, ALONE)
    assert found.means == {"data": -2.0, "samples": 4.5}
    assert found.largest == {"data": 9.0, "samples": 5.0}
    assert torch.equal(torch.get_rng_state(), state)
    assert parts.energy.training
    assert energies_of(StepResult(x, None, None, {}), parts, ALONE).means == {"data": -2.0}


def test_energies_of_two_ranks():
    other = torch.tensor([[2.0, 3.0], [0.5, 70.0]])
    x, x_neg = torch.tensor([[1.0], [2.0], [-9.0]]), torch.tensor([[4.0], [5.0]])
    found = energies_of(StepResult(x, x_neg, None, {}), parts_of(), Two(other))
    assert found.means == {"data": 0.0, "samples": 2.5}
    assert found.largest == {"data": 9.0, "samples": 70.0}


def test_pending_metrics_are_columns_of_what_every_step_has():
    pending = PendingMetrics(parts_of(), ALONE)
    for step, (loss, gap) in enumerate([(3.0, 5.0), (1.0, 7.0)], 1):
        pending.add(step, {"loss": torch.tensor(loss), "gap": torch.tensor(gap)})
    assert pending.columns() == {"loss": [3.0, 1.0], "gap": [5.0, 7.0]}
    assert pending.divergence_in(pending.columns()) is None
    assert pending.finite == {"loss": 1.0, "gap": 7.0}
    pending.add(3, {"loss": torch.tensor(2.0), "new": torch.tensor(0.0)})
    assert pending.columns() == {"loss": [3.0, 1.0, 2.0]}
    other = PendingMetrics(parts_of(), ALONE)
    other.restore(pending.rows(), CPU)
    assert other.columns() == pending.columns()
    other.columns = None  # rows of a checkpoint were checked before it was written
    assert other.check() is None


def test_each_pending_metric_is_checked_once():
    pending = PendingMetrics(parts_of(), ALONE)
    pending.add(1, {"loss": torch.tensor(1.0)})
    assert pending.check() is None
    pending.add(2, {"loss": torch.tensor(float("nan"))})
    assert pending.check().step == 2
    pending.clear()
    pending.add(3, {"loss": torch.tensor(float("inf"))})
    assert pending.check().step == 3


def skips_of(part, chains=None, max_skips=3):
    train = SimpleNamespace(
        on_divergence="skip", max_energy=None, max_gap=None, max_skips=max_skips
    )
    energy = Bowl()
    parts = parts_of(
        energy=energy, stateful=[("sampler", part)], buffers=[energy.seen], chains=chains
    )
    pending = PendingMetrics(parts, ALONE)
    return Skips(parts, train, ALONE, pending, with_chains=chains is not None), energy


def step(loss):
    return StepResult(torch.zeros(1, 1), None, None, {"loss": torch.tensor(loss)})


def test_a_skipped_step_restores_what_it_changed():
    part, chains, events = Part(), Part(), []
    recorder = SimpleNamespace(event=lambda step, event, **facts: events.append((step, facts)))
    skips, energy = skips_of(part, chains)
    for number, loss in enumerate([1.0, float("nan"), float("inf"), 2.0, float("nan")], 1):
        skips.before_step()
        for tensor in (energy.seen, part.held["n"], chains.held["n"]):
            tensor += 1
        assert skips.drops(step(loss), number, recorder) is (loss not in (1.0, 2.0))
    assert [int(t) for t in (energy.seen, part.held["n"], chains.held["n"])] == [2, 2, 2]
    assert [(number, facts["in_a_row"]) for number, facts in events] == [(2, 1), (3, 2), (5, 1)]
    assert skips.total == 3
    skips.drops(step(float("nan")), 6, recorder)
    with pytest.raises(DivergenceError, match="3 steps in a row"):
        skips.drops(step(float("nan")), 7, recorder)


def test_checkpoints_by_the_clock_and_by_steps(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(checkpoint_schedule, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    schedule = CheckpointSchedule("2 minutes", 10)
    for at, late in [(1119.0, False), (1121.0, True)]:
        now[0] = at
        assert schedule.is_late() is late
        assert schedule.is_due(10, late=late) is late
    schedule.restart_clock()
    assert not schedule.is_late()
    steps = CheckpointSchedule("20 steps", 10)
    now[0] = 9999.0
    assert not steps.is_late()
    assert [n for n in range(61) if steps.is_due(n, late=True)] == [20, 40, 60]
    epochs = CheckpointSchedule("2 epochs", 10)
    assert [n for n in range(41) if epochs.is_due(n, late=False)] == [20, 40]


def test_a_step_is_gathered_from_all_ranks(monkeypatch):
    from ebmcore.train import types

    def twice(ranks, tensor):
        return torch.cat([tensor, tensor + 10])

    monkeypatch.setattr(types, "all_rows", twice)
    monkeypatch.setattr(types, "all_info", lambda ranks, info: info)
    monkeypatch.setattr(types, "all_chains", lambda ranks, chains: chains)
    x, y = torch.zeros(2, 1), torch.arange(2)
    end = Start(x + 1, y + 5)
    last = StepResult(x, x + 1, None, {}, end, Conditions(y))
    found, _ = types.gathered(SimpleNamespace(size=2), last, None)
    assert found.x.flatten().tolist() == [0, 0, 10, 10]
    assert found.x_neg.flatten().tolist() == found.end.x.flatten().tolist() == [1, 1, 11, 11]
    assert found.conditions.y.tolist() == [0, 1, 10, 11]
    assert found.of_x_neg.y.tolist() == [5, 6, 15, 16]
