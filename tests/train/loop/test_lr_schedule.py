"""A schedule that follows a metric takes a step whenever the metric is recorded."""

from types import SimpleNamespace

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ebmcore import ConfigError, RunError
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.rank import RankInfo
from ebmcore.train.loop.lr_schedule import LRSchedule
from support.runs import go, lines


def schedule_of(metric, monitors=(), events=()):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    plateau = ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    entries = tuple(SimpleNamespace(name=name) for name in monitors)
    parts = SimpleNamespace(
        lr_scheduler=plateau,
        lr_metric=metric,
        lr_interval="epoch",
        monitors=entries,
        callbacks=[SimpleNamespace(events=events)],
    )
    return LRSchedule(parts, Ranks(RankInfo()), 2), optimizer.param_groups[0]


def test_it_steps_when_its_metric_is_recorded():
    schedule, group = schedule_of("looks/error", ["looks"])
    for step, error in enumerate([3.0, 2.0, 2.0, None, 1.0, 1.5], 1):
        schedule.after_step(step)  # intervals don't matter
        schedule.recorded(step, {"loss": 5.0}, of_monitors=False)
        found = {"looks/other": 0.0} if error is None else {"looks/error": error}
        schedule.recorded(step, found, of_monitors=True)
    assert group["lr"] == 0.25


def test_a_metric_that_no_run_has_is_refused():
    schedule, _ = schedule_of("los", ["looks"])
    schedule.recorded(1, {"train/lr": 0.1}, of_monitors=False)  # every step was skipped
    with pytest.raises(ConfigError, match=r"no metric 'los'. Did you mean 'loss'.*looks/…"):
        schedule.recorded(2, {"loss": 1.0, "train/lr": 0.1}, of_monitors=False)


def test_a_metric_that_a_callback_may_log_later_is_waited_for():
    early = {"loss": 1.0, "train/lr": 0.1}
    schedule, group = schedule_of("total", events=["on_metrics"])
    schedule.recorded(1, early, of_monitors=False)
    for step, total in enumerate([1.0, 2.0], 2):
        schedule.recorded(step, {**early, "total": total}, of_monitors=False)
    assert group["lr"] == 0.5
    schedule, _ = schedule_of("train/energy", events=["on_metrics"])  # the run's own names
    with pytest.raises(ConfigError, match="no metric 'train/energy'"):
        schedule.recorded(1, early, of_monitors=False)


def test_the_rate_of_a_run_follows_a_metric(config):
    config["optimizer"] = {"type": "SGD", "lr": 0.02}
    config["train"] = {"steps": 24, "batch_size": 20, "log_every": 2}
    keys = {"patience": 0, "factor": 0.5}
    config["lr_scheduler"] = {"type": "ReduceLROnPlateau", "metric": "loss", **keys}
    found = [line for line in lines(go(config).dir) if "loss" in line]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.02)
    again, expected = ReduceLROnPlateau(optimizer, **keys), []
    for line in found:
        expected.append(optimizer.param_groups[0]["lr"])
        again.step(line["loss"])
    assert [line["train/lr"] for line in found] == expected
    assert len(set(expected)) > 2
    with pytest.raises(RunError, match=r"lr_scheduler\.metric: this run records no metric 'lost'"):
        go(config, **{"lr_scheduler.metric": "lost"})
    config["lr_scheduler"]["metric"] = "looks/nothing"
    config["monitors"] = [{"type": "parts:looks", "every": "12 steps"}]
    assert "lr_scheduler: no metric 'looks/nothing' was recorded to follow" in go(config).warnings
