"""Keys that follow a metric are held against the metrics that the run will record."""

import pytest

from ebmcore import ConfigError, Host
from ebmcore.config import Recorded
from ebmcore.runner.api import prepare

PARTS = """
from ebmcore import callback, monitor

@monitor(metrics=("score", "rhat_*"))
def judges(view):
    return {"score": 1.0}

class Waits:
    metrics = ()
    follows = ("metric",)

    def __init__(self, *, metric: str):
        self.metric = metric

    def on_metrics(self, run, step, metrics):
        pass

waits = callback(name="waits")(Waits)
"""


@pytest.fixture
def judged(config, tmp_path):
    """A config with a monitor that lists its metrics, and a callback that follows one."""
    (tmp_path / "judging.py").write_text(PARTS)
    config["plugins"]["files"].append(str(tmp_path / "judging.py"))
    config["monitors"] = [{"type": "judges", "name": "held"}, {"type": "parts:looks"}]
    config["callbacks"] = [{"type": "waits", "metric": "held/score"}]
    return config


def recorded(config):
    found = prepare(config).config
    return Recorded.of(found.losses, found.monitors, found.callbacks, ["extra"], Host(()))


@pytest.mark.parametrize(
    "name",
    [
        *("loss", "loss/gap", "loss/gap/part", "train/lr", "train/extra/grad_norm"),
        *("sampler/step_size", "held/score", "held/rhat_x1", "looks/anything"),
    ],
)
def test_recorded_metrics_may_be_followed(judged, name):
    assert recorded(judged).fault(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("held/scor", "no metric 'held/scor'. Did you mean 'held/score'? It records held/score, h"),
        ("score", "no metric 'score'. Did you mean 'held/score'? It records loss, held/score, "),
        ("train/lrr", "no metric 'train/lrr'. Did you mean 'train/lr'? It records train/steps_p"),
        ("loss/gapp", "the run records no metric 'loss/gapp'."),
    ],
)
def test_other_metrics_are_refused_with_near_ones(judged, name, message):
    assert message in recorded(judged).fault(name)


def test_callbacks_and_hooks_may_record_more(judged):
    found = prepare(judged)
    parts = found.config.losses, found.config.monitors, found.config.callbacks, ()
    assert Recorded.of(*parts, found.host).fault("own") is None  # parts.py has hooks of runs
    assert Recorded.of(*parts, Host(())).fault("own") is not None
    assert Recorded.of(*parts, found.host).fault("held/own") is not None


def test_every_key_that_follows_is_checked(judged):
    judged["train"]["keep_best"] = "max held/scores"
    judged["lr_scheduler"] = {"type": "ReduceLROnPlateau", "metric": "held/scored"}
    judged["callbacks"][0]["metric"] = "train/los"
    judged["energy"]["widht"] = 2  # the other mistakes are told, too
    with pytest.raises(ConfigError) as caught:
        prepare(judged)
    assert [p.path for p in caught.value.problems] == [
        *("energy.widht", "train.keep_best", "lr_scheduler.metric", "callbacks.0.metric"),
    ]


def test_no_key_follows_a_monitor_at_auto(judged):
    assert prepare(judged).config.monitors[0].options["every"] == "1 epoch"
    judged["monitors"][0]["every"] = "auto"
    with pytest.raises(ConfigError) as caught:
        prepare(judged)
    (problem,) = caught.value.problems
    assert problem.path == "callbacks.0.metric"
    assert "give the monitor 'held' a cadence such as '5 epochs'" in problem.message


def test_a_monitor_that_cant_be_read_may_record_anything(judged):
    judged["monitors"][0]["evry"] = "end"
    judged["train"]["keep_best"] = "held/whatever"
    with pytest.raises(ConfigError) as caught:
        prepare(judged)
    assert [p.path for p in caught.value.problems] == ["monitors.0.evry"]
