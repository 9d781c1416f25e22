"""The loop by itself: what it records, saves and counts, and where it ends."""

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore.config import read_train
from ebmcore.train.loop import Loop
from ebmcore.train.monitor_schedule import MonitorSchedule
from ebmcore.train.signals import Interrupts
from ebmcore.train.types import Silent


class Recorder:
    """Keeps what the loop hands out."""

    progress = Silent()

    def __init__(self):
        self.rows, self.saves, self.divergences = [], [], []

    def write(self, step, metrics):
        self.rows.append((step, metrics))

    def save(self, why):
        self.saves.append(why)

    def diverged(self, divergence):
        self.divergences.append(divergence)

    def event(self, step, event, **facts):
        pass


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return x @ self.weight


def counts(energy, x, step):
    return 0 * energy(x).sum() + float(step)


def shifted(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()


def loop_of(loss=counts, **train):
    sampled = {"sampler": lambda energy, x, generator: x, "chains": lambda x, generator: x + 2.0}
    experiment = ebmcore.Experiment(
        data=torch.arange(20.0).reshape(10, 2),
        energy=Line(),
        loss=loss,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.0),
        holdout=0.0,
        device="cpu",
        **(sampled if loss is shifted else {}),
    )
    options = {"steps": 7, "batch_size": 5, "log_every": 3, **train}
    return Loop(experiment.assemble(), read_train(options), experiment.streams, Interrupts())


def ran(loop):
    recorder = Recorder()
    loop.run(MonitorSchedule(loop.parts), recorder)
    return recorder


def test_each_interval_is_recorded_by_its_mean_and_the_last_too():
    loop = loop_of()
    recorder = ran(loop)
    assert [(step, row["loss"]) for step, row in recorder.rows] == [(3, 1.0), (6, 4.0), (7, 6.0)]
    evaluations = [row["train/energy_evaluations"] for _, row in recorder.rows]
    assert evaluations == [15, 30, 35]
    assert recorder.saves == ["the end"]
    assert (loop.step, loop.done, loop.epoch) == (7, True, 3.5)


def test_the_gap_is_that_of_data_over_samples():
    _, row = ran(loop_of(shifted, steps=1)).rows[0]
    assert row["train/energy_gap"] == pytest.approx(-4.0)


def test_a_signal_ends_the_run_after_its_step():
    loop = loop_of()
    loop.after_step = lambda: loop.step == 4 and loop.interrupts.end("early")
    recorder = ran(loop)
    assert (loop.step, loop.done) == (4, False)
    assert recorder.saves == ["early"]
    assert [step for step, _ in recorder.rows] == [3]


def test_a_stop_ends_the_run_with_its_metrics():
    loop = loop_of()
    loop.after_step = lambda: loop.step == 4 and loop.interrupts.stop("enough")
    recorder = ran(loop)
    assert (loop.step, loop.done) == (4, True)
    assert recorder.saves == ["the end"]
    assert [step for step, _ in recorder.rows] == [3, 4]


def test_a_state_holds_what_the_loop_counts():
    loop, other = loop_of(), loop_of()
    loop.after_step = lambda: loop.step == 5 and loop.interrupts.end("early")
    ran(loop)
    loop.skips.total, loop.skips.in_a_row = 3, 2
    other.load_state_dict(loop.state_dict())
    assert (other.step, other.resumed_at, other.pending.fetched) == (5, 5, 3)
    assert (other.skips.total, other.skips.in_a_row) == (3, 2)
    assert other.pending.columns() == loop.pending.columns() == {
        **loop.pending.columns(), "loss": [3.0, 4.0]
    }  # fmt: skip
    rows = ran(other).rows
    assert [(step, row["loss"]) for step, row in rows] == [(6, 4.0), (7, 6.0)]
    assert rows[0][1]["train/energy_evaluations"] == 30
    assert rows[0][1]["train/skipped"] == 3


def test_a_divergence_is_handed_out_before_it_is_saved():
    loop = loop_of(lambda energy, x, step: energy(x).sum() * (float("nan") if step == 1 else 1.0))
    recorder = ran(loop)
    assert recorder.divergences[0].step == 2
    assert 3 not in [step for step, _ in recorder.rows]


def test_checkpoints_are_saved_at_their_steps_or_when_asked():
    loop = loop_of(checkpoint_every="2 steps", keep_best="loss")
    asked = {3: "the best"}
    loop.after_step = lambda: setattr(loop, "save_reason", asked.get(loop.step, ""))
    assert ran(loop).saves == ["its time", "the best", "its time", "its time", "the end"]
