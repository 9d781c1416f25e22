"""A loop whose state went through the files of a checkpoint goes on as the one that wrote it."""

import json
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import lr_scheduler as schedules

import ebmcore
from ebmcore import Chains, Kernel, Start
from ebmcore.checkpoint.files import Checkpoint, write_checkpoint
from ebmcore.checkpoint.network_state import averaged_or_weights
from ebmcore.checkpoint.rank_state import fill_chains, mean_of_waiting
from ebmcore.checkpoint.snapshot import restore, roll_back, take_snapshot
from ebmcore.config import read_train
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import EbmError
from ebmcore.train.loop import Loop
from ebmcore.train.signals import Interrupts
from ebmcore.train.types import Silent


class Energy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.2), nn.Linear(3, 1)
        )

    def forward(self, x):
        return self.net(x).squeeze(1) + x.square().sum(1)


class State(NamedTuple):
    x: Tensor
    momentum: Tensor


class Drifts(Kernel):
    """Carries a momentum, and counts its steps."""

    carries = ("momentum",)

    def __init__(self):
        self.steps = 0

    def init(self, energy, x, generator, carried):
        return State(x, carried.or_new("momentum", torch.randn(x.shape, generator=generator)))

    def noise(self, x, generator):
        self.steps += 1
        return (torch.randn(x.shape, generator=generator),)

    def step(self, energy, state, noise):
        momentum = 0.9 * state.momentum + 0.1 / self.steps * noise[0]
        return State(state.x + momentum, momentum), None

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


class Kept(Chains):
    """As many chains as the batch has events, and how often they began."""

    def __init__(self):
        self.x, self.carried, self.starts = None, {}, 0

    def start(self, x, generator):
        self.starts += 1
        self.x = torch.randn(x.shape, generator=generator) if self.x is None else self.x
        return Start(self.x.clone() / self.starts, carried=self.carried)

    def keep(self, end):
        self.x, self.carried = end.x, dict(end.carried)

    def state_dict(self):
        return {} if self.x is None else {"x": self.x, **self.carried, "starts": self.starts}

    def load_state_dict(self, state):
        self.x, self.starts = state.get("x"), state.get("starts", 0)
        self.carried = {"momentum": state["momentum"]} if "momentum" in state else {}


class Gap:
    """A loss that counts its calls, in a tuple and beside a key that is a number."""

    __name__ = "gap"

    def __init__(self):
        self.calls = 0

    def __call__(self, energy, x, x_neg, generator):
        self.calls += 1
        noise = torch.randn(x.shape, generator=generator) / self.calls
        return energy(x + noise).mean() - energy(x_neg).mean()

    def state_dict(self):
        return {"calls": (self.calls, [1.5, None]), 3: {"3": True}}

    def load_state_dict(self, state):
        assert state[3] == {"3": True}
        self.calls, rest = state["calls"]
        assert rest == [1.5, None]


def follows(energy, shift, x):
    return energy(shift(x)).mean()


follows.trains = "shift"
RECORDER = SimpleNamespace(
    progress=Silent(), write=lambda *of: None, save=lambda why: None, event=lambda *of, **more: None
)


def rates(optimizer):
    warm = schedules.LinearLR(optimizer, 0.5, total_iters=3)
    steps = schedules.MultiStepLR(optimizer, [2, 5])
    return schedules.SequentialLR(optimizer, [warm, steps], [4])


def loop_of(seed=0, loss=None):
    torch.manual_seed(seed)
    experiment = ebmcore.Experiment(
        data=torch.randn(30, 2, generator=torch.Generator().manual_seed(1)),
        energy=Energy(),
        networks={"shift": nn.Linear(2, 2)},
        loss=[loss or Gap(), follows],
        sampler=Drifts(),
        chains=Kept(),
        n_steps=2,
        optimizer=lambda p: torch.optim.Adam(p, lr=0.01),
        optimizers={"shift": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)},
        lr_scheduler=rates,
        lr_interval="step",
        holdout=0.0,
        device="cpu",
        seed=4,
    )
    options = {"steps": 20, "batch_size": 10, "ema": 0.8, "log_every": 3, "data_noise": 0.1}
    parts = experiment.assemble()
    return Loop(parts, read_train(options), experiment.streams, Interrupts())


def advance(loop, steps):
    """Take so many steps, as `Loop.run` does, but for what it records."""
    until = loop.step + steps
    while loop.step < until:
        for index in loop.batches.rest_of_epoch(loop.step):
            last = loop._train_on(index, RECORDER)
            loop.step += 1
            loop.lr_schedule.after_step(loop.step)
            if loop.step - loop.pending.fetched == loop.train.log_every:
                loop._fetch_metrics(last, RECORDER)
            if loop.step == until:
                break


def state_of(loop):
    """All that a checkpoint holds of a loop, to be compared by ==."""
    contents = take_snapshot(loop, {"note": 1})
    held = {f: {k: v.tolist() for k, v in t.items()} for f, t in contents.tensors.items()}
    return json.loads(json.dumps([contents.step, contents.state, held]))


def written(loop, tmp_path):
    return Checkpoint(
        write_checkpoint(tmp_path / "run" / "checkpoints", take_snapshot(loop, {"note": 1}))
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.mark.parametrize("at", [4, 6])
def test_all_state_goes_through_the_files(folder, at):
    one, other = loop_of(0), loop_of(5)
    advance(one, at)
    found = restore(written(one, folder), other)
    assert found == ({"note": 1}, [])
    assert state_of(other) == state_of(one)
    for loop in (one, other):
        torch.manual_seed(9)  # of the dropout
        advance(loop, 5)
    assert state_of(other) == state_of(one)
    assert one.step == at + 5


def test_a_part_without_saved_state_starts_again_and_says_so(folder):
    one, other = loop_of(0, loss=Gap().__call__), loop_of(5)
    advance(one, 4)
    (label,) = [name for name, part in other.parts.stateful if isinstance(part, Gap)]
    checkpoint = written(one, folder)
    _, warnings = restore(checkpoint, other)
    assert warnings == [f"{checkpoint.path} holds no state of {label}, which starts again"]
    assert other.parts.sampler.kernel.steps == one.parts.sampler.kernel.steps > 0


def test_the_files_hold_what_their_names_say(folder):
    loop = loop_of()
    advance(loop, 4)
    checkpoint = written(loop, folder)

    def holds(name, tensors):
        found = load_file(checkpoint.path / f"{name}.safetensors")
        return found.keys() == tensors.keys() and all(
            torch.equal(found[k], v) for k, v in tensors.items()
        )

    network, average = loop.parts.networks["shift"], loop.train_step.averaged_networks["shift"]
    assert holds("weights", loop.parts.energy.state_dict())
    assert holds("ema", loop.averaged.module.state_dict())
    assert holds("network-shift", network.state_dict())
    assert holds("network-shift-ema", average.module.state_dict())
    assert not holds("ema", loop.parts.energy.state_dict())
    assert (checkpoint.event_shape, checkpoint.step, checkpoint.whole) == ((2,), 4, True)
    assert take_snapshot(loop, {}, whole=False).whole is False
    for found, module in (
        (checkpoint.averaged_or_weights(), loop.averaged.module),
        (averaged_or_weights(checkpoint, "shift"), average.module),
    ):
        assert all(torch.equal(found[k], v) for k, v in module.state_dict().items())
    (folder / "run" / "checkpoints" / "step-00000004").rename(
        folder / "run" / "checkpoints" / "step-00000005"
    )
    with pytest.raises(EbmError, match="step: should be that of step-00000005"):
        Checkpoint(folder / "run" / "checkpoints" / "step-00000005")


def lowered(loop):
    schedule = loop.parts.lr_scheduler
    groups = [o.param_groups[0] for o in loop.parts.every_optimizer.values()]
    return [
        *(group[key] for group in groups for key in ("lr", "initial_lr") if key in group),
        *schedule._schedulers[0].base_lrs,
        *schedule._schedulers[1].base_lrs,
    ]


def test_a_rollback_restores_all_but_step_streams_and_rate(folder):
    loop = loop_of()
    advance(loop, 3)
    checkpoint, before = written(loop, folder), state_of(loop)
    advance(loop, 4)
    rates_now, order = lowered(loop), loop.streams("data order").get_state()
    loop.skips.in_a_row = 2
    roll_back(checkpoint, loop, 0.5, "rollback 1 at 7")
    assert lowered(loop) == pytest.approx([0.5 * rate for rate in rates_now])
    after = state_of(loop)
    assert loop.step == 7
    for file, tensors in before[2].items():
        if file != "state":
            assert after[2][file] == tensors, file
    parts = {name: part.state_dict() for name, part in loop.parts.stateful}
    assert (parts["sampler"], parts["loss gap"]["calls"][0]) == ({"steps": 6}, 3)
    assert (loop.pending.rows(), loop.skips.in_a_row) == ([], 0)
    for purpose, generator in loop.streams.items().items():
        new = torch.Generator().manual_seed(loop.streams.derived(f"{purpose}/rollback 1 at 7"))
        assert torch.equal(
            generator.get_state(), order if purpose == "data order" else new.get_state()
        )


def test_chains_of_ranks_are_loaded_or_dealt(folder):
    class Parted(Chains):
        def load_state_dict(self, state):
            self.found = state

        def deal(self, states, rank, ranks):
            self.found = states, rank, ranks

    loop = loop_of()
    advance(loop, 2)
    checkpoint = written(loop, folder)
    state, cpu, chains = checkpoint.state(), torch.device("cpu"), Parted()
    fill_chains(chains, checkpoint, state, cpu, "chains")
    assert torch.equal(chains.found["x"], loop.parts.chains.x)
    assert chains.found["starts"] == 2
    fill_chains(chains, checkpoint, state, cpu, "chains", RankInfo(1, 3))
    assert (len(chains.found[0]), *chains.found[1:]) == (1, 1, 3)


def test_metrics_that_wait_are_averaged_over_ranks():
    def rows(*losses):
        return [[step, {"loss": torch.tensor(loss)}] for step, loss in enumerate(losses, 4)]

    found = mean_of_waiting([rows(1.0, 2.0), rows(3.0, 8.0)])
    assert [[step, row["loss"].item()] for step, row in found] == [[4, 2.0], [5, 5.0]]
    assert found[0][1]["loss"].dtype == torch.float32
