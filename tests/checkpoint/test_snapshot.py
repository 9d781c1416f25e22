"""Odd states of optimisers, schedules, energies and parts: what is saved is what is put back."""

import shutil
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim import lr_scheduler as schedules

import ebmcore
from ebmcore import ConfigError
from support.runs import assert_same, lines

TRAIN = {"steps": 20, "batch_size": 10, "checkpoint_every": "7 steps", "log_every": 3}
QUIET = {"tracking": "off", "progress": False}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1), nn.Flatten(0))


def squares(energy, x):
    return (energy(x) - x.sum(1)).square().mean()


def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean() + squares(energy, x)


def make(**parts):
    data = torch.randn(60, 2, generator=torch.Generator().manual_seed(1))
    return ebmcore.Experiment(
        **{"data": data, "energy": network(), "loss": squares, "seed": 4, **parts}
    )


def assert_resumes(make, at=7, **train):
    """Assert that a run that died after the checkpoint of a step ends as one that didn't."""
    options = {**TRAIN, **train, **QUIET}
    whole = make().run(**options)
    part = whole.dir.with_name(f"cut-{at}")
    shutil.copytree(whole.dir, part)
    for place in part.glob("checkpoints/step-*"):
        if int(place.name[5:]) > at:
            shutil.rmtree(place)
    make().resume(part, **options)
    assert_same(whole.dir, part)


SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
SCHEDULES = {
    "sequential": lambda o: schedules.SequentialLR(
        o, [schedules.ConstantLR(o, 0.5, 3), schedules.MultiStepLR(o, [3, 6])], [9]
    ),
    "chained": lambda o: schedules.ChainedScheduler(
        [schedules.ConstantLR(o, 0.5, 3), schedules.MultiStepLR(o, [3, 8, 16])]
    ),
    "one cycle": lambda o: schedules.OneCycleLR(o, max_lr=0.1, total_steps=40),
    "cyclic": lambda o: schedules.CyclicLR(o, 0.01, 0.1, step_size_up=4),
    "lambda": lambda o: schedules.LambdaLR(o, lambda step: 0.99**step),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_of_schedules_go_on(schedule):
    assert_resumes(
        lambda: make(optimizer=SGD, lr_scheduler=SCHEDULES[schedule], lr_interval="step")
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_rollback_lowers_the_rate_under_every_schedule(schedule):
    def once(energy, x, step):
        return energy(x).mean() * (float("nan") if step == 9 else 0.0)

    rates = []
    for loss in ([squares], [squares, once]):
        experiment = make(
            loss=loss, optimizer=SGD, lr_scheduler=SCHEDULES[schedule], lr_interval="step"
        )
        run = experiment.run(
            **{**TRAIN, "log_every": 1, "checkpoint_every": "2 steps"},
            **{**QUIET, "on_divergence": "rollback", "rollback_lr": 0.1},
        )
        rates.append({row["step"]: row["train/lr"] for row in lines(run.dir)})
    plain, rolled = rates
    for step in (9, 11, 12, 16, 20):
        assert rolled[step] == pytest.approx(plain[step] * (1 if step < 10 else 0.1)), step


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_an_optimisers_state_keeps_its_type(dtype):
    # NAdam keeps one number in float32 whatever the weights are
    def again():
        return make(energy=network().to(dtype), optimizer=partial(torch.optim.NAdam, lr=0.01))

    assert_resumes(again)


class Remembers:
    """A function with a state, of whatever signature."""

    __name__ = "remembers"

    def __init__(self):
        self.calls = 0

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]


class Walks(Remembers):
    def __call__(self, energy, x, generator):
        self.calls += 1
        return x + torch.randn(x.shape, generator=generator) / self.calls


class Starts(Remembers):
    def __call__(self, x, generator):
        self.calls += 1
        return x / self.calls


def test_samplers_and_chains_that_are_callables_remember():
    assert_resumes(lambda: make(loss=gap, sampler=Walks(), chains=Starts(), n_steps=2))


class Crowded(Remembers):
    """A loss whose state has keys that read alike when they are joined by dots."""

    wanted = {"a.b": 1.0, "a": {"b": 2.0}, 0: 3.0, "0": 4.0}  # noqa: RUF012

    def __call__(self, energy, x):
        return squares(energy, x)

    def state_dict(self):
        found = {k: torch.tensor(v) for k, v in self.wanted.items() if k != "a"}
        return {**found, "a": {"b": torch.tensor(self.wanted["a"]["b"])}}

    def load_state_dict(self, state):
        assert {**state, "a": dict(state["a"])} == self.wanted


def test_keys_that_read_alike_are_kept_apart():
    assert_resumes(lambda: make(loss=Crowded()))


class Masked(nn.Module):
    """An energy with the mask of an autoregressive model, -inf above the diagonal."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2))
        self.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))

    def forward(self, x):
        return (x @ torch.softmax(self.weight + self.mask, -1)).square().sum(1)


def test_a_buffer_that_is_infinite_by_design_is_no_divergence():
    assert_resumes(lambda: make(energy=Masked()))


def test_a_skipped_step_moves_no_buffer():
    torch.manual_seed(0)
    energy = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1), nn.Flatten(0))

    def poisons(energy, x, step):
        return energy(x * float("nan")).mean() if step == 6 else 0 * energy(x).mean()

    run = make(energy=energy, loss=[squares, poisons]).run(
        **{**TRAIN, "steps": 7, "checkpoint_every": "1 steps", "on_divergence": "skip"}, **QUIET
    )
    assert run.status == "FINISHED"
    before, after = (
        load_file(run.dir / f"checkpoints/step-0000000{step}/weights.safetensors")
        for step in (6, 7)
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


class Odd(Remembers):
    """A loss whose state is a tensor of some kind."""

    def __init__(self, held):
        self.held = held

    def __call__(self, energy, x):
        return squares(energy, x)

    def state_dict(self):
        return {"held": self.held}

    def load_state_dict(self, state):
        assert torch.equal(state["held"].view(torch.uint8), self.held.view(torch.uint8))


@pytest.mark.parametrize(
    ("held", "match"),
    [
        (torch.zeros(2, dtype=torch.complex128), "'state_dict.held' is of torch.complex128, which"),
        (torch.eye(2).to_sparse(), "layout torch.sparse_coo; only dense ones can be saved"),
    ],
    ids=["complex128", "sparse"],
)
def test_a_tensor_that_no_file_holds_is_refused_before_training(held, match):
    with pytest.raises(ConfigError, match=match):
        make(loss=Odd(held)).run(**TRAIN, **QUIET)


def test_a_buffer_that_no_file_holds_is_refused_before_training():
    energy = network()
    energy.register_buffer("odd", torch.eye(2).to_sparse())
    with pytest.raises(ConfigError, match="'odd' of its state_dict is a tensor of layout"):
        make(energy=energy).run(**TRAIN, **QUIET)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.int8, torch.bfloat16, torch.complex64, torch.float8_e4m3fn], ids=str
)
def test_tensors_of_odd_types_are_kept(dtype):
    assert_resumes(lambda: make(loss=Odd(torch.ones(3).to(dtype))))
