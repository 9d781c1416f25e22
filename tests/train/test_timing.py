"""Where a run's time goes, and how much work it has done."""

import copy
import json
import time

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore.errors import ComponentError
from ebmcore.train.threads import choose_threads, using
from ebmcore.train.timing import Evaluations, Timing


def facts_of(run):
    return json.loads((run.dir / "run.json").read_text())


def test_every_part_is_in_the_table_by_its_name_and_plugin(config):
    run = ebmcore.run(config, {"train.ema": 0.9}, progress=False)
    table = facts_of(run)["seconds_by_part"]
    for part in (
        "data",
        "chains 'parts:kept'",
        "sampler 'parts:walk'",
        "loss 'parts:gap'",
        "the gradient of the losses",
        "optimizer Adam",
        "the average of the weights",
        "monitor 'parts:looks'",
        "tracking",
        "checkpoints",
    ):
        assert any(name.startswith(part) for name in table), part
    assert sum("(plugin" in name for name in table) == 4
    assert list(table.values()) == sorted(table.values(), reverse=True)
    assert 0 < sum(table.values()) <= facts_of(run)["seconds"] + 0.01


def test_evaluations_of_the_energy_are_counted_in_events(config):
    """3 steps of 20 chains, and E at 20 points and 20 samples: 100 of each a step; 18 steps."""
    run = ebmcore.run(config, {"monitors": []}, progress=False)
    rows = [json.loads(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]
    counted = [(r["step"], r["train/energy_evaluations"]) for r in rows]
    assert counted == [(step, step * 100) for step in (5, 10, 15, 18)]
    assert run.metrics["train/gradient_evaluations"] == 18 * 100


class Classifier(nn.Module):
    """E(x) = -logsumexp f(x), f(x) of three classes."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 3)

    def logits(self, x):
        return self.net(x)

    def forward(self, x):
        return -torch.logsumexp(self.logits(x), 1)

    def margins(self, x):
        return self(x), self.logits(x).amax(1)

    def reach(self, scale):
        return self.net.weight.norm() * scale


def test_calls_of_an_energys_other_methods_are_counted():
    """A call inside of a call is a part of it; a copy of the energy counts for nothing."""
    energy, x = Classifier(), torch.zeros(5, 2)
    counts = Evaluations(energy, every=1)
    with counts.counting():
        (energy(x).sum() + energy.logits(x).sum()).backward()
        energy.margins(x)
        energy.reach(2.0)
        copy.deepcopy(energy).logits(x)
        with torch.no_grad():
            energy.logits(x)
    assert counts.each == {"energy": 20, "gradient": 10}
    assert "call" not in Classifier.logits.__code__.co_name
    with counts.counting(), pytest.raises(RuntimeError):
        energy.logits(torch.zeros(5, 7))
    energy(x)
    assert counts.each == {}


def test_a_part_that_raises_is_named():
    account = Timing()
    named = pytest.raises(ComponentError, match="step 4: the thing raised KeyError")
    with named, account("the thing", 4):
        raise KeyError("x")
    with pytest.raises(KeyError), account("the thing"):
        raise KeyError("x")
    assert account.seconds["the thing"] > 0


def test_keeping_the_account_takes_microseconds():
    """Ten parts a step; a step is to lose less than 10 µs, and a slow machine is allowed for."""
    account, best = Timing(), 1.0
    for _ in range(5):
        began = time.perf_counter()
        for step in range(1000):
            with account("part", step):
                pass
        best = min(best, (time.perf_counter() - began) / 1000)
    assert best < 5e-6


def test_small_energies_get_one_thread_and_large_ones_all():
    with using(2):
        small, large = torch.nn.Linear(2, 8), torch.nn.Linear(2000, 2000)
        assert choose_threads("auto", small, torch.zeros(128, 2)).number == 1
        found = choose_threads("auto", large, torch.zeros(128, 2000))
        assert found.number == 2
        assert found.why == "E and its gradient take 3073.5 million operations for a batch"
        assert choose_threads(3, small, torch.zeros(128, 2)).number == 3


def test_the_threads_are_put_back(config):
    with using(2):
        seen = []
        config["monitors"] = []
        ebmcore.run(config, {"threads": 1, "train.epochs": 1}, progress=False)
        seen.append(torch.get_num_threads())
    assert seen == [2]


@pytest.mark.slow
def test_the_command_line_shows_the_table_and_writes_a_profile(config, tmp_path, ebmcore_command):
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(config))
    done = ebmcore_command("run", file, "--profile", "train.epochs=3", "monitors=[]")
    assert done.returncode == 0, done.stderr
    assert "where the time went" in done.stdout
    assert "optimizer Adam" in done.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    trace = json.loads((folder / "profile.json").read_text())
    names = {event.get("name") for event in trace["traceEvents"]}
    assert any(name.startswith("ProfilerStep#") for name in names if name)
    assert "aten::randn" in names
