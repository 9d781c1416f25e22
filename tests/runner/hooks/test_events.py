"""Callbacks and hooks at a run's events: what they are called with, in which order, and errors."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import Callback, ConfigError, Experiment, RunError
from ebmcore.cli.run import show_run
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from support.planted import command
from support.runs import assert_same, cut, facts, go, lines, resume, same, weights


class Hears(Callback):
    """Keeps all events, as text."""

    def __init__(self):
        self.heard = []

    def on_start(self, run):
        self.heard.append(f"start {run.status} {run.step}")

    def on_metrics(self, run, step, metrics):
        self.heard.append(f"metrics {step} {' '.join(sorted(n for n in metrics if '/' not in n))}")

    def on_checkpoint(self, run, path):
        self.heard.append(f"checkpoint {path.name}")

    def on_error(self, run, error):
        self.heard.append(f"error {type(error).__name__}")

    def on_end(self, run, status):
        self.heard.append(f"end {status}")


class HearsSteps(Hears):
    def on_step(self, run, step):
        assert run.step == step
        self.heard.append(f"step {step}")


@pytest.fixture
def train(config):
    """Train the config's parts with callbacks that are objects."""

    def go(*callbacks, **train):
        config["train"] = {"steps": 4, "batch_size": 20, "log_every": 2} | train
        experiment = compose(*prepare(config))
        experiment.callbacks = experiment._callbacks(callbacks)
        return experiment.run(tracking="off", progress=False, **config["train"])

    return go


def test_a_callback_is_called_at_each_event(train):
    hears = Hears()
    run = train(hears)
    assert hears.heard == [
        "start RUNNING 0",
        "metrics 2 loss",
        "metrics 4 loss",
        "metrics 4 ",  # of the monitor
        "checkpoint step-00000004",
        "end FINISHED",
    ]
    assert "callbacks" in run.seconds_by_part


def test_steps_are_shown_to_those_that_look(train):
    hears = HearsSteps()
    train(hears, steps=2)
    assert hears.heard[1:4] == ["step 1", "step 2", "metrics 2 loss"]


def test_a_run_without_such_a_callback_does_nothing_each_step(train, monkeypatch):
    from ebmcore.train.loop import Loop

    seen = []
    monkeypatch.setattr(Loop, "eval", lambda self: seen.append(self.after_step))
    train(Hears())
    assert seen == [None]


def test_an_error_and_the_end_of_a_failed_run(train):
    hears = Hears()
    with pytest.raises(RunError):
        train(hears, max_energy=1e-9)
    assert hears.heard[1:] == ["error DivergenceError", "checkpoint step-00000002", "end FAILED"]


def test_a_callback_that_raises_is_switched_off(train, tmp_path):
    class Breaks(Hears):
        def on_metrics(self, run, step, metrics):
            super().on_metrics(run, step, metrics)
            raise SystemExit("broken on purpose")

    broken, other = Breaks(), Hears()
    run = train(broken, other)
    assert run.status == "FINISHED"
    assert broken.heard == ["start RUNNING 0", "metrics 2 loss"]
    assert other.heard[-1] == "end FINISHED"
    (warning,) = [w for w in run.warnings if "Breaks" in w]
    assert "callback 'Breaks' raised SystemExit: broken on purpose in on_metrics" in warning
    assert "it is switched off and the run continues" in warning
    assert "Traceback" in (run.dir / "log.txt").read_text()


def test_logged_metrics_come_after_those_that_they_follow(train):
    class Logs(Hears):
        def on_metrics(self, run, step, metrics):
            if "loss" in metrics:
                run.log_metric("double", 2 * metrics["loss"])
            super().on_metrics(run, step, metrics)

    first, second = Logs(), Hears()
    run = train(first, second)
    assert first.heard == second.heard
    expected = ["metrics 2 loss", "metrics 2 double", "metrics 4 loss", "metrics 4 double"]
    assert second.heard[1:5] == expected
    assert run.metrics["double"] == 2 * run.metrics["loss"]


def test_what_is_logged_elsewhere_is_not_followed(train):
    class Late(Hears):
        def on_step(self, run, step):
            run.log_metric("late", 1.0)

    run = train(Late(), keep_best="late")
    (warning,) = [w for w in run.warnings if "on_metrics" in w]
    assert warning.startswith("train.keep_best follows 'late' only where a callback logs it in")


def test_the_bits_are_those_of_a_run_without_callbacks(config):
    config["train"] |= {"checkpoint_every": "7 steps"}
    plain = go(config)
    config["callbacks"] = [{"type": "totals"}]
    run = go(config)
    config["callbacks"] = []
    bare = [{k: v for k, v in line.items() if k != "total"} for line in lines(run.dir)]
    assert [line for line in bare if set(line) != {"step", "epoch"}] == lines(plain.dir)
    assert same(weights(run), weights(plain))


def test_memory_survives_a_resume_at_every_checkpoint(config):
    config["train"] |= {"checkpoint_every": "3 steps", "keep_checkpoints": 99, "log_every": 2}
    config["train"]["keep_best"] = "max total"
    config["lr_scheduler"] = {
        "type": "ReduceLROnPlateau",
        "metric": "total",
        "mode": "max",
        "patience": 0,
    }
    config["callbacks"] = ["totals", {"type": "totals", "name": "stops", "stop_after": 6}]
    whole = go(config)
    assert (whole.step, whole.status) == (12, "FINISHED")
    assert whole.stopped == facts(whole.dir)["stopped"] == "6 records are enough"
    assert facts(whole.dir)["best"]["metric"] == "total"
    assert len({line["train/lr"] for line in lines(whole.dir) if "train/lr" in line}) > 1
    for step in (3, 6, 9):
        again = resume(cut(whole, step), config)
        assert_same(whole.dir, again.dir)
        assert (again.stopped, again.metrics["total"]) == (whole.stopped, whole.metrics["total"])


@pytest.mark.parametrize("where", ["on_start", "on_step", "on_metrics", "on_checkpoint"])
def test_a_stopped_run_ends_as_any_other(train, where):
    def stop(self, run, *rest):
        run.stop("first\n reason")
        run.stop("second")

    stops = type("Stops", (Callback,), {where: stop})()
    run = train(stops, steps=40, checkpoint_every="3 steps")
    step = {"on_start": 1, "on_step": 1, "on_metrics": 2, "on_checkpoint": 4}[where]
    assert (run.status, run.step, run.stopped) == ("FINISHED", step, "first reason")
    last = lines(run.dir)[-2:]
    assert [line["step"] for line in last] == [step, step]
    assert "loss" in last[0]
    assert "looks/mean" in last[1]
    assert (run.dir / f"checkpoints/step-{step:08d}").is_dir()
    told = facts(run.dir)
    assert (told["checkpoint"]["why"], told["stopped"]) == ("the end", "first reason")
    (event,) = map(json.loads, (run.dir / "events.jsonl").read_text().splitlines())
    assert (event["step"], event["event"], event["why"]) == (step, "stopped", "first reason")
    assert ebmcore.load(run.dir, energy=run.energy).stopped == "first reason"


def test_a_stop_at_the_last_step_is_none(train):
    class Stops(Callback):
        def on_step(self, run, step):
            if step == 4:
                run.stop("late")

        def on_end(self, run, status):
            run.stop("too late")

    run = train(Stops())
    assert (run.step, run.stopped, facts(run.dir)["stopped"]) == (4, "", None)


def test_a_stopped_run_is_resumed_as_a_finished_one(config, capsys):
    config["callbacks"] = [{"type": "totals", "stop_after": 1}]
    whole = go(config)
    again = resume(whole.dir, config)
    assert (again.step, again.status, again.stopped) == (5, "FINISHED", "1 records are enough")
    show_run(again)
    assert "stopped at step 5: 1 records are enough" in capsys.readouterr().out
    code, shown = command("runs", "show", whole.dir, "--json")
    assert (code, json.loads(shown)["stopped"]) == (0, "1 records are enough")
    # killed after its last checkpoint, before run.json said how it ended
    killed = resume(cut(whole, 5), config)
    assert (killed.step, killed.status, killed.stopped) == (5, "FINISHED", "1 records are enough")
    assert_same(whole.dir, killed.dir)


class Lacks:
    pass


class Typo(Callback):
    def on_metric(self, run, step, metrics):
        pass


class Short:
    def on_metrics(self, run, metrics):
        pass


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (Lacks(), "should have a method of: on_start, on_step"),
        (Callback(), "should have a method of"),
        (Hears, "should be a built callback"),
        (print, "should have a method of"),
        (Typo(), "has a method 'on_metric', but did you mean 'on_metrics'?"),
        (Short(), r"on_metrics takes \(run, step, metrics\): too many positional arguments"),
    ],
    ids=["lacks", "base", "class", "function", "typo", "short"],
)
def test_an_object_that_is_no_callback_is_refused(callback, message):
    with pytest.raises(ConfigError, match=rf"callbacks: \w+ {message}"):
        Experiment(
            data=torch.zeros(40, 2),
            energy=nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)),
            loss=lambda energy, x: energy(x).mean(),
            callbacks=[callback],
        )


def test_a_config_names_callbacks_with_their_keys(config):
    config["callbacks"] = [{"type": "totals", "stop_afer": 3}, "totls", "totals"]
    with pytest.raises(ConfigError) as caught:
        go(config)
    text = str(caught.value)
    assert "callbacks.0.stop_afer" in text
    assert "Did you mean 'stop_after'?" in text
    assert "no callback 'totls'. Did you mean 'totals'?" in text
    config["callbacks"] = ["totals", "totals"]
    with pytest.raises(ConfigError, match=r"'totals' is at callbacks\.0 too"):
        go(config)


def test_a_hook_stops_and_logs_as_a_callback_does(config, tmp_path):
    Path("hooked.py").write_text(
        "from ebmcore import hookimpl\n"
        "@hookimpl\n"
        "def ebmcore_run_start(run):\n"
        "    run.log_metric('mine', 1)\n"
        "    run.stop('a hook is enough')\n"
        "@hookimpl\n"
        "def ebmcore_run_closed(run):\n"
        "    try:\n"
        "        run.log_metric('late', 1)\n"
        "    except Exception as error:\n"
        "        raise RuntimeError(f'{run.status}: {error}')\n"
    )
    config["plugins"]["files"].append(str(tmp_path / "hooked.py"))
    run = go(config)
    assert (run.status, run.step, run.stopped) == ("FINISHED", 1, "a hook is enough")
    assert lines(run.dir)[0] == {"step": 0, "epoch": 0.0, "mine": 1.0}
    (warning,) = facts(run.dir)["warnings"]
    assert "raised in ebmcore_run_closed: RuntimeError: FINISHED: run.log_metric" in warning
    assert "or it has closed" in warning
    assert facts(run.dir)["hooks"]["ebmcore_run_closed"] == ["hooked"]
