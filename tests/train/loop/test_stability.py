"""A sampler's step that fails is told within a hundred steps, and the config's choice follows."""

import json
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import ebmcore
from ebmcore import ConfigError, DivergenceError, Kernel, StepSize, energy_and_score, root, value_of
from ebmcore.checkpoint.files import Checkpoint, write_checkpoint
from ebmcore.checkpoint.snapshot import restore, take_snapshot
from ebmcore.config import read_train
from ebmcore.train.loop import Loop
from ebmcore.train.loop.stability import curvature
from ebmcore.train.monitor_schedule import MonitorSchedule
from ebmcore.train.signals import Interrupts
from ebmcore.train.types import Silent
from support.runs import lines

STEEP = 400.0  # the curvature of the energy, on data of standard deviation 1


class State(NamedTuple):
    x: Tensor


class Info(NamedTuple):
    acceptance: Tensor


class Walker(Kernel):
    """Unadjusted Langevin."""

    takes_step_size = True
    implied_temperature = 1.0
    temperature = 1.0

    def __init__(self, step_size):
        self.step_size = StepSize() if step_size == "auto" else step_size

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, dtype=x.dtype),)

    def step(self, energy, state, noise):
        size = value_of(self.step_size)
        return State(
            state.x + size * energy_and_score(energy, state.x)[1] + root(2 * size) * noise[0]
        ), None

    def step_for(self, spread):
        return spread**2 / 2

    def stable_step(self, curvature):
        return 2 / curvature


class Fixed(Walker):
    takes_step_size = False


class Accepts(Walker):
    """Keeps the share of proposals that a step of 1/8 would have, and so much less of larger."""

    target_acceptance = 0.5

    def step(self, energy, state, noise):
        kept = torch.exp(torch.zeros(len(state.x)) - 5 * value_of(self.step_size))
        return State(state.x + 0.01 * noise[0]), Info(kept)


class OfItsOwn(Walker):
    """Takes stable steps whatever its step_size, which may be None or one for each coordinate."""

    def step(self, energy, state, noise):
        score = energy_and_score(energy, state.x)[1]
        return State(state.x + score / STEEP + (2 / STEEP) ** 0.5 * noise[0]), None


class Counts(Walker):
    """Remembers how often it began."""

    began = 0

    def init(self, energy, x):
        self.began += 1
        return super().init(energy, x)


class Clipped(Walker):
    implied_temperature = None


class Bowl(nn.Module):
    """E = ½κ‖x‖², κ trained."""

    def __init__(self, steepness):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(steepness))

    def forward(self, x):
        return 0.5 * self.weight * x.square().sum(1)


class Recorder:
    """Keeps what the loop hands out."""

    progress = Silent()

    def __init__(self):
        self.rows, self.warnings, self.events = [], [], []

    def write(self, step, metrics):
        self.rows.append(metrics)
        return metrics

    def save(self, why):
        pass

    def warn(self, text):
        self.warnings.append(text)

    def diverged(self, divergence):
        raise divergence.error()

    def event(self, step, event, **facts):
        self.events.append((step, event, facts["step_size"]))


def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()


def experiment_of(kernel, *, steepness=STEEP, lr=0.0):
    generator = torch.Generator().manual_seed(0)
    return ebmcore.Experiment(
        data=torch.randn(400, 2, generator=generator),
        energy=Bowl(steepness),
        loss=gap,
        sampler=kernel,
        chains=lambda x, generator: x,
        n_steps=30,
        optimizer=lambda p: torch.optim.SGD(p, lr=lr),
        holdout=0.0,
        device="cpu",
        compile=False,
    )


def loop_of(kernel, *, steepness=STEEP, lr=0.0, **train):
    experiment = experiment_of(kernel, steepness=steepness, lr=lr)
    options = {"steps": 100, "batch_size": 40, **train}
    return Loop(experiment.assemble(), read_train(options), experiment.streams, Interrupts())


def ran(loop):
    recorder = Recorder()
    loop.run(MonitorSchedule(loop.parts), recorder)
    return recorder


def test_the_curvature_is_exact_on_round_bowls_and_0_on_hills():
    moved = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    assert curvature(moved, -7 * moved).item() == pytest.approx(7)
    assert curvature(moved, 7 * moved).item() == 0
    some = torch.where(torch.arange(40)[:, None] < 5, -9.0, -1.0)  # five of them are steeper
    assert curvature(moved, some * moved).item() == pytest.approx(9)
    few = torch.where(torch.arange(40)[:, None] < 4, -9.0, -1.0)
    assert curvature(moved, few * moved).item() == pytest.approx(1)


def test_an_unstable_step_is_told_and_a_stable_one_is_not():
    """The bound is 2/κ."""
    (text,) = ran(loop_of(Walker(2.2 / STEEP))).warnings
    assert text.startswith("step 50: sampler.step_size 0.0055: unstable for the energy")
    assert "curvature, 400 nats" in text
    assert "at most 0.005;" in text
    assert ran(loop_of(Walker(1.8 / STEEP))).warnings == []
    assert ran(loop_of(Clipped(2.2 / STEEP))).warnings == []  # no law that it could miss


def test_a_step_too_wide_for_the_data_is_told_by_the_data():
    """The spread ℓ of the data allows ℓ²/2, whatever the energy is so far."""
    limit = loop_of(Walker(1.0)).stability.spread ** 2 / 2
    (text,) = ran(loop_of(Walker(1.1 * limit), steepness=1.0)).warnings
    assert "can't become as narrow as the data" in text
    assert f"at most {limit:.2g}" in text
    assert f"{limit / 2:.1g} would suit" in text
    assert ran(loop_of(Walker(0.9 * limit), steepness=1.0)).warnings == []


def test_rejections_are_told_and_fitted_away():
    (text,) = ran(loop_of(Accepts(1.0))).warnings
    assert "keeps 0.7% of its proposals" in text
    loop = loop_of(Accepts("auto"), steps=400)
    assert ran(loop).warnings == []
    assert float(loop.stability.changeable) == pytest.approx(0.1386, rel=0.02)  # exp(-5η) = ½


@pytest.mark.parametrize(
    ("size", "response"),
    [(None, "warn"), ([0.1, 0.2], "warn"), (torch.tensor([0.1, 0.2]), "warn"), (None, "shrink")],
)
def test_without_one_step_size_nothing_is_measured(size, response):
    recorder = ran(loop_of(OfItsOwn(size), on_unstable=response, steps=50))
    (row,) = recorder.rows
    assert "sampler/step_size" not in row
    assert recorder.warnings == recorder.events == []


def test_measurements_leave_the_kernels_memory_as_it_is():
    kernel = Counts(1.0)
    assert len(ran(loop_of(kernel, steepness=1.0)).warnings) == 1
    assert kernel.began == 100


def test_stop_ends_the_run():
    with pytest.raises(DivergenceError, match=r"^step 50: sampler.step_size 0.0055: .* or auto$"):
        ran(loop_of(Walker(2.2 / STEEP), on_unstable="stop"))


def test_shrink_halves_the_step_and_records_it():
    recorder = ran(loop_of(Walker(2.2 / STEEP), on_unstable="shrink", log_every=50))
    assert recorder.events == [(50, "shrunk", pytest.approx(1.1 / STEEP))]
    steps = [row["sampler/step_size"] for row in recorder.rows]
    assert steps == pytest.approx([1.1 / STEEP, 1.1 / STEEP])
    fixed = loop_of(Walker(0.001), log_every=50)
    assert all("sampler/step_size" not in row for row in ran(fixed).rows)
    with pytest.raises(ConfigError, match=r"train.on_unstable: shrink changes the step size"):
        loop_of(Fixed(0.001), on_unstable="shrink")


def test_rollback_goes_on_from_a_checkpoint_with_half_the_step(tmp_path):
    run = experiment_of(Walker(2.2 / STEEP), lr=1e-9).run(
        steps=120, batch_size=40, on_unstable="rollback", checkpoint_every="20 steps",
        keep_checkpoints=9, log_every=20, tracking="off", runs_dir=tmp_path, progress=False,
    )  # fmt: skip
    back, shrunk = map(json.loads, (run.dir / "events.jsonl").read_text().splitlines())
    assert (back["event"], back["step"], back["to"], back["number"]) == ("rollback", 50, 40, 1)
    assert (shrunk["event"], shrunk["step_size"]) == ("shrunk", pytest.approx(1.1 / STEEP))
    assert (run.status, run.step, len(run.warnings)) == ("FINISHED", 120, 1)
    assert "unstable for the energy" in run.warnings[0]
    assert "rolled back to step 40 (1 of at most 3)" in run.warnings[0]
    sizes = [row["sampler/step_size"] * STEEP for row in lines(run.dir) if "loss" in row]
    assert sizes == pytest.approx([2.2, 2.2, 1.1, 1.1, 1.1, 1.1])


def test_auto_keeps_the_step_within_the_curvature():
    loop = loop_of(Walker("auto"), lr=0.01)
    begun = float(loop.stability.changeable)
    assert begun == pytest.approx(loop.stability.spread**2 / 4, rel=1e-5)
    recorder = ran(loop)
    curved = loop.parts.energy.weight.item()
    assert recorder.warnings == []
    assert float(loop.stability.changeable) == pytest.approx(1 / (4 * curved), rel=0.1)


@pytest.mark.parametrize(
    ("size", "lr", "choice"), [("auto", 1e-4, "warn"), (2.2 / STEEP, 1e-8, "shrink")]
)
def test_a_resumed_run_repeats_the_step_sizes(tmp_path, size, lr, choice):
    def make():
        return loop_of(Walker(size), lr=lr, steps=120, on_unstable=choice)

    whole, first, second = make(), make(), make()
    ran(whole)
    first.after_step = lambda: first.step == 47 and first.interrupts.end("the test")
    ran(first)
    assert first.step == 47
    (tmp_path / "checkpoints").mkdir()
    checkpoint = Checkpoint(write_checkpoint(tmp_path / "checkpoints", take_snapshot(first, {})))
    restore(checkpoint, second)
    ran(second)
    assert (second.step, whole.step) == (120, 120)
    assert torch.equal(second.parts.energy.weight, whole.parts.energy.weight)
    sizes = [float(loop.stability.changeable) for loop in (first, second, whole)]
    assert sizes[1] == sizes[2] != sizes[0]
