"""The runner, on parts small enough to follow."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file

import ebmcore
from ebmcore import ConfigError, EbmError, Experiment, RunError
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from ebmcore.runs.directory import read_metrics


def go(config, **overrides):
    return ebmcore.run(config, overrides, progress=False)


def weights(run, name="weights"):
    (folder,) = run.dir.glob("checkpoints/step-*")
    return load_file(folder / f"{name}.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def metrics(run):
    return [read_metrics(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]


def heard():
    (module,) = [m for n, m in sys.modules.items() if n.startswith("ebmcore_local_parts")]
    return module.HEARD


def test_a_run_leaves_what_the_design_says(config):
    run = go(config)
    assert run.status == "FINISHED"
    assert run.dir.parent.name == "runs"
    assert run.dir.name.startswith("bare-20")
    facts = json.loads((run.dir / "run.json").read_text())
    assert facts["status"] == "FINISHED"
    assert facts["step"] == 2 * (180 // 20)
    assert facts["versions"]["torch"] == str(torch.__version__)
    (local,) = [p for p in facts["plugins"] if p["file"]]
    assert (run.dir / "plugins" / "parts.py").read_bytes() == Path(local["file"]).read_bytes()
    assert len(local["sha256"]) == 64
    assert (run.dir / "figures" / "looks" / "step-00000018.png").exists()
    assert (run.dir / "figures" / "looks" / "image-step-00000009.png").exists()
    names = {name for _, _, values in metrics(run) for name in values}
    assert names == {
        "loss",
        "loss/gap",
        "loss/gap/unscaled",
        "train/grad_norm",
        "train/energy_evaluations",
        "train/gradient_evaluations",
        "train/lr",
        "train/steps_per_second",
        "train/energy_gap",
        "looks/mean",
        "looks/samples",
    }


def test_each_metric_step_stands_once(config):
    run = go(config)
    seen = [(step, name) for step, _, values in metrics(run) for name in values]
    assert len(seen) == len(set(seen))
    assert [step for step, _, v in metrics(run) if "loss" in v] == [5, 10, 15, 18]
    assert [step for step, _, v in metrics(run) if "looks/mean" in v] == [9, 18]


def test_the_recorded_config_repeats_the_run(config):
    one = go(config)
    two = go(one.dir / "config.yaml")
    for name in ("weights", "ema", "chains"):
        assert same(weights(one, name), weights(two, name))


def test_monitors_change_no_weight_by_a_bit(config):
    config["energy"]["dropout"] = 0.3  # draws from torch's global generator in every step
    one = go(config)
    for monitors in ([], [{"type": "parts:looks", "every": "3 steps"}]):
        two = go(config, monitors=monitors)
        for name in ("weights", "ema", "chains"):
            assert same(weights(one, name), weights(two, name))


def test_another_seed_is_another_run(config):
    assert not same(weights(go(config)), weights(go(config, seed=4)))


def test_the_global_generators_are_left_as_they_were(config):
    torch.manual_seed(11)
    state = torch.get_rng_state()
    go(config)
    assert torch.equal(torch.get_rng_state(), state)


def test_monitors_and_samples_use_the_averaged_weights(config):
    run = go(config)
    assert not same(weights(run), weights(run, "ema"))
    assert torch.equal(run.energy.weight, weights(run, "ema")["weight"])
    plain = go(config, **{"train.ema": None})
    assert torch.equal(plain.energy.weight, weights(plain)["weight"])
    assert not list(plain.dir.glob("checkpoints/*/ema.safetensors"))


def test_the_average_is_torchs(config):
    # one batch a step, decay 0.9: recomputed here from the weights of runs of each length
    states = [go(config, train={"steps": n, "batch_size": 20}, monitors=[]) for n in (1, 2, 3)]
    expected = weights(states[0])["weight"]
    for run in states[1:]:
        expected = 0.9 * expected + 0.1 * weights(run)["weight"]
    averaged = go(config, train={"steps": 3, "batch_size": 20, "ema": 0.9}, monitors=[])
    torch.testing.assert_close(weights(averaged, "ema")["weight"], expected)


def test_gradients_are_clipped(config):
    config["optimizer"] = {"type": "SGD", "lr": 1.0}
    config["train"] = {"steps": 1, "batch_size": 20}
    config["monitors"] = []
    start = go(config, **{"optimizer.lr": 1e-30})
    free = go(config)
    norm = free.metrics["train/grad_norm"]
    moved = (weights(free)["weight"] - weights(start)["weight"]).norm()
    torch.testing.assert_close(moved.item(), norm, rtol=1e-4, atol=0)
    clipped = go(config, **{"train.clip_grad_norm": norm / 10})
    assert clipped.metrics["train/grad_norm"] == norm  # as it was before it was clipped
    moved = (weights(clipped)["weight"] - weights(start)["weight"]).norm()
    torch.testing.assert_close(moved.item(), norm / 10, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("interval", "steps"), [("epoch", 2), ("step", 18)])
def test_the_schedule_steps(config, interval, steps):
    config["lr_scheduler"] = {"type": "ExponentialLR", "gamma": 0.9, "interval": interval}
    assert go(config).metrics["train/lr"] == pytest.approx(0.05 * 0.9**steps)


def test_losses_are_summed_with_their_weights(config):
    config["loss"] = [{"type": "parts:gap"}, {"type": "parts:size", "weight": 0.25}]
    run = go(config, **{"train.steps": 1, "train.epochs": None})
    found = run.metrics
    assert found["loss"] == pytest.approx(found["loss/gap"] + 0.25 * found["loss/size"])


def test_a_losss_own_parameters_are_trained(config):
    config["loss"] = {"type": "parts:offset"}
    config["energy"]["width"] = 2.0
    run = go(config, **{"train.epochs": 30})
    assert run.metrics["loss/offset"] < 0.1  # only the loss's constant can bring it down this far


def test_data_noise_has_a_stream_of_its_own(config):
    one, two = (go(config, **{"train.data_noise": s}, monitors=[]) for s in (0.1, 0.2))
    assert not same(weights(one), weights(two))
    assert same(weights(one), weights(go(config, **{"train.data_noise": 0.1})))


def test_a_monitor_that_raises_is_switched_off(config):
    config["monitors"] = ["parts:stumbles", "parts:looks"]
    run = go(config)
    assert run.status == "FINISHED"
    (warning,) = run.warnings
    assert "monitor 'parts:stumbles'" in warning
    assert "ZeroDivisionError: this monitor is broken on purpose" in warning
    assert "Traceback" in (run.dir / "log.txt").read_text()
    assert "looks/mean" in run.metrics


def test_a_monitors_warning_is_recorded(config):
    run = go(config, monitors=[{"type": "parts:warns", "every": "end"}])
    assert run.warnings == ["warns at step 18: look here"]
    assert json.loads((run.dir / "run.json").read_text())["warnings"] == run.warnings


def test_a_loss_that_raises_fails_the_run(config):
    config["loss"] = {"type": "parts:breaks"}
    with pytest.raises(
        RunError, match=r"step 4: loss 'parts:breaks' \(plugin .*raised KeyError"
    ) as e:
        go(config)
    run = e.value.run
    assert run.status == "FAILED"
    facts = json.loads((run.dir / "run.json").read_text())
    assert facts["status"] == "FAILED"
    assert "broken on purpose" in facts["error"]
    assert "Traceback" in (run.dir / "log.txt").read_text()
    assert heard()[-3:] == [
        ("error", "ComponentError"),
        ("checkpoint", "step-00000003"),
        ("end", "FAILED"),
    ]


def test_a_number_that_is_not_finite_stops_the_run(config):
    config["loss"] = {"type": "parts:overflows", "at": 7}
    with pytest.raises(
        RunError, match=r"step 8: loss/overflows of loss 'parts:overflows' .* is nan; 0"
    ) as caught:
        go(config)
    assert not list(caught.value.run.dir.glob("checkpoints/*"))


def test_life_cycle_hooks_are_called_in_order(config):
    heard_before = len(heard()) if any("local_parts" in n for n in sys.modules) else 0
    go(config)
    assert heard()[heard_before:] == [
        ("start", "RUNNING"),
        ("checkpoint", "step-00000018"),
        ("end", "FINISHED"),
    ]


def test_sampling_from_a_run(config):
    run = go(config)
    draws = run.sample(30)
    assert draws.shape == (30, 2)
    assert torch.equal(draws, run.sample(30))
    assert not torch.equal(draws, run.sample(30, seed=1))
    assert run.sample(100).shape == (100, 2)  # more than the 40 chains that are kept


def test_a_loaded_run_is_the_run(config):
    run = go(config)
    loaded = ebmcore.load(run.dir, plugins=config["plugins"]["files"])
    assert same(run.energy.state_dict(), loaded.energy.state_dict())
    assert torch.equal(run.sample(30), loaded.sample(30))
    assert loaded.metrics == run.metrics
    assert loaded.status == "FINISHED"


def test_a_recorded_plugin_file_is_not_imported_unasked(config):
    run = go(config)
    with pytest.raises(EbmError, match=r"If you trust them, add -p .*plugins/parts.py"):
        ebmcore.load(run.dir)


def test_an_altered_checkpoint_is_refused(config):
    run = go(config)
    (file,) = run.dir.glob("checkpoints/*/weights.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(EbmError, match=r"weights.safetensors: missing, or not what was written"):
        ebmcore.load(run.dir, plugins=config["plugins"]["files"])


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(EbmError, match="no run directory"):
        ebmcore.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.batch_size", 1000, "should be at most the 180 training points; got 1000"),
        ("chains.size", 10, "size should be at least 20; got 10"),
        ("device", "nowhere", "can't be used"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_any_write(config, tmp_path, key, value, message):
    with pytest.raises(ConfigError, match=message):
        go(config, **{key: value})
    assert not list(tmp_path.iterdir())


def test_an_experiment_of_objects():
    class Bowl(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))

        def forward(self, x):
            return (self.weight * x).square().sum(1)

    def score_norm(energy, x):
        return ebmcore.energy_and_score(energy, x)[0].mean() * 0 + energy(x).mean()

    run = Experiment(
        data=torch.randn(100, 2, generator=torch.Generator().manual_seed(0)),
        energy=Bowl(),
        loss=[score_norm, (lambda energy: sum(p.sum() for p in energy.parameters()), 0.5)],
        monitors=[lambda view: {"step": float(view.step)}],
        seed=1,
    ).run(steps=4, batch_size=10, tracking="off", progress=False)
    assert run.status == "FINISHED"
    assert "made_of_objects" in (run.dir / "config.yaml").read_text()
    with pytest.raises(EbmError, match=r"energy=…"):
        ebmcore.load(run.dir)
    loaded = ebmcore.load(run.dir, energy=Bowl())
    assert torch.equal(loaded.energy.weight, run.energy.weight)
    with pytest.raises(EbmError, match="no sampler"):
        run.sample(3)


def test_an_experiment_checks_its_parts():
    x, net = torch.randn(20, 3), torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    with pytest.raises(ConfigError, match=r"energy: .*doesn't take events of shape \(3,\)"):
        Experiment(data=x, energy=net, loss=lambda energy, x: energy(x).mean()).run(
            steps=1, batch_size=4
        )
    with pytest.raises(ConfigError, match="asks for 'scale', which is no slot"):
        Experiment(data=x, energy=net, loss=lambda energy, x, scale: 0)
    with pytest.raises(ConfigError, match="sampler: missing"):
        Experiment(data=x, energy=net, loss=lambda energy, x, x_neg: 0)
    with pytest.raises(ConfigError, match=r"should be an nn\.Module"):
        Experiment(data=x, energy=lambda x: x, loss=lambda energy: 0)
    with pytest.raises(ConfigError, match="has no parameters to train"):
        Experiment(data=x, energy=torch.nn.Flatten(0), loss=lambda energy: 0).run(steps=1)
    with pytest.raises(ConfigError, match="row 2 of the data"):
        Experiment(data=torch.tensor([[1.0], [2.0], [float("nan")]]), energy=net, loss=len)


def test_a_view_tells_of_the_last_step_and_of_what_was_recorded():
    seen = []

    class Step(ebmcore.Kernel):
        implied_temperature = 1.0

        def init(self, energy, x):
            return Point(x)

        def noise(self, x, generator):
            return ()

        def step(self, energy, state, noise):
            return Point(state.x + 1), Told(energy(state.x).detach())

    class Point(NamedTuple):
        x: torch.Tensor

    class Told(NamedTuple):
        energy: torch.Tensor

    def look(view):
        trace = view.trace(3, 4, 2)
        seen.append((view, trace, {n: list(v) for n, v in view.history.items()}))
        return {"one": 1.0}

    class Bowl(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.width = torch.nn.Parameter(torch.ones(2))

        def forward(self, x):
            return (self.width * x).square().sum(1)

    energy, kernel = Bowl(), Step()
    run = ebmcore.Experiment(
        data=torch.randn(40, 2), energy=energy, n_steps=3, sampler=kernel,
        loss=lambda energy, x, x_neg: energy(x).mean() - energy(x_neg).mean(),
        chains=lambda x, generator: x.clone(), monitors=[(look, "2 steps")],
    ).run(steps=4, batch_size=8, log_every=2, tracking="off", progress=False)  # fmt: skip
    (first, trace, early), (last, _, late) = seen
    assert run.warnings == []
    assert first.kernel is kernel
    assert first.info.energy.shape == (8,)
    assert set(last.gradients) == {"width"}
    assert torch.equal(last.gradients["width"], energy.width.grad)
    assert [step for step, _ in early["loss"]] == [2]
    assert [step for step, _ in late["loss"]] == [2, 4]
    assert [step for step, _ in late["look/one"]] == [2]
    assert trace.x.shape == (2, 3, 2)
    torch.testing.assert_close(trace.x[1], trace.x[0] + 2)
    with pytest.raises(ValueError, match="thin should be from 1 to n_steps, 2; got 3"):
        first.trace(1, 2, 3)


FITTED = """
import torch
from ebmcore import energy, loss

@loss
class fitted:
    def __init__(self, training_data):
        self.mean = training_data.mean(0)

    def __call__(self, energy, x):
        return (energy(x) - energy(self.mean[None])).mean(), {"mean": self.mean[0]}

@energy
def greedy(training_data):
    return torch.nn.Linear(2, 1)
"""


def test_losses_may_ask_for_the_training_data(config, tmp_path):
    (tmp_path / "fitted.py").write_text(FITTED)
    config["plugins"]["files"].append(str(tmp_path / "fitted.py"))
    config["loss"] = "fitted"
    run = go(config)
    data = compose(*prepare(config)).data.x
    assert run.metrics["loss/fitted/mean"] == pytest.approx(float(data.mean(0)[0]))
    config["energy"] = "greedy"
    with pytest.raises(ConfigError, match="asks for training_data, which is handed to losses"):
        go(config)
