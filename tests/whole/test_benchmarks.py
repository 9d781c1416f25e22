"""The benchmark itself: sides that need no peer do the same work, and the tables are right."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from support import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
    for name in [
        n for n in sys.modules if n.split(".")[0] in ("speed", "grid", "report", "planes", "gpu")
    ]:
        del sys.modules[name]


def test_the_banana_has_its_density_and_its_entropy():
    import banana

    bent = banana.banana(n=20_000, std=0.3, generator=torch.Generator().manual_seed(0))
    surprise = -bent.log_prob(bent())
    assert surprise.mean().item() == pytest.approx(bent.entropy, abs=4 / 20_000**0.5)
    side = torch.linspace(-5, 15, 1001, dtype=torch.float64)
    grid = torch.cartesian_prod(side[side < 5], side)
    assert bent.log_prob(grid).exp().sum().item() * 0.02**2 == pytest.approx(1, abs=1e-6)


def test_no_density_of_the_plane_has_a_key_of_its_own():
    import planes

    changed = {word.partition("=")[0] for job in planes.jobs() for word in job.overrides}
    assert changed == {"data", "plugins", "monitors"}
    assert {job.config for job in planes.jobs()} == {planes.CONFIG}


def small():
    from speed.work import Work

    return Work("small", batch=32, hidden=(24, 24), points=320, k=3, chains=100, lr=5e-3)


def energy(points):
    """The energy of the five Gaussians themselves, with another constant."""
    from speed.work import CENTERS, STD

    squared = ((points[:, None].astype(np.float64) - CENTERS) ** 2).sum(2)
    return 7.0 - np.log(np.exp(-squared / (2 * STD**2)).sum(1) + 1e-300)


def test_the_kl_is_0_for_the_truth_and_as_by_hand_for_another():
    from speed.work import BOX, CENTERS, STD, kl

    assert kl(energy) == pytest.approx(0.0, abs=1e-6)
    # against one round Gaussian of variance s²: ∫ p log p + E|x|²/(2s²) + log(2πs²), with
    # E|x|² = 2 std² + the mean of the centres' squares; the five are far enough apart for
    # ∫ p log p = -log 5 - 1 - log(2π std²), to 1e-3
    variance = 2.25
    square = 2 * STD**2 + (CENTERS**2).sum(1).mean()
    expected = -np.log(5) - 1 - np.log(2 * np.pi * STD**2)
    expected += square / (2 * variance) + np.log(2 * np.pi * variance)
    assert kl(lambda x: (x**2).sum(1) / (2 * variance)) == pytest.approx(expected, abs=2e-3)
    assert 3 * np.sqrt(variance) < BOX


class Rows(torch.nn.Module):
    """Counts the events whose energy is asked for, on their way."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.rows = 0

    def forward(self, x):
        self.rows += len(x)
        return self.inner(x)


def rows_of_plain(work, steps, loader):
    from speed.plain import Plain

    side = Plain(loader=loader)
    side.build(work, 0)
    side.model = Rows(side.model)
    side.train(steps)
    return side.model.rows


def rows_of_library(work, steps):
    from speed.ours import Library

    side = Library()
    side.build(work, 0)
    build = side.build

    def counted(*given):
        build(*given)
        side.energy = Rows(side.energy)

    side.build = counted
    side.train(steps)
    return side.energy.rows


@pytest.mark.plugins
def test_a_training_step_asks_every_side_for_the_same_energies():
    work = small()
    each = work.batch * (work.k + 2)  # k sampler steps, then the batch and the chains' ends
    for count in (
        lambda steps: rows_of_plain(work, steps, False),
        lambda steps: rows_of_plain(work, steps, True),
        lambda steps: rows_of_library(work, steps),
    ):
        assert count(7) - count(3) == 4 * each


@pytest.mark.plugins
def test_sides_whose_draws_are_the_same_learn_the_same(monkeypatch):
    from speed.ours import Library
    from speed.plain import Plain
    from speed.work import data

    # every chain and every point in each step, in order, and noise that is no noise
    work = small()._replace(batch=100, points=100, chains=100)
    monkeypatch.setattr(torch, "randint", lambda low, high, shape: torch.arange(high))
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.arange(n))
    monkeypatch.setattr(torch, "randn_like", lambda x: torch.ones_like(x))
    monkeypatch.setattr(torch, "randn", lambda shape, **_: torch.ones(shape))
    ends = []
    for side in (Plain(), Library()):
        side.build(work, 0)
        before = side.energies(data(work, 0))
        side.train(5)
        ends.append(side.energies(data(work, 0)))
    assert np.abs(ends[0] - before).max() > 0.05
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-4)


@pytest.mark.plugins
def test_every_side_has_the_same_energy_and_langevin_step(monkeypatch):
    from speed.ours import Library
    from speed.plain import Plain
    from speed.work import WORKS, chains

    others = {work.network: work for work in WORKS.values() if work.network != "mlp"}
    assert others.keys() == {"conv", "lstm", "transformer", "rbm"}
    for work in (*others.values(), small()):
        plain, library = Plain(), Library()
        plain.build(work, 0)
        library.build(work, 0)
        x = torch.from_numpy(chains(work, 0, 4))
        torch.testing.assert_close(plain.model(x), library.energy(x))
    monkeypatch.setattr(torch, "randn_like", lambda x: torch.ones_like(x))
    monkeypatch.setattr(torch, "randn", lambda shape, **_: torch.ones(shape))
    ends = []
    for side in (plain, library):
        side.place(chains(work, 0, 4))
        ends.append(side.walk(2))
    torch.testing.assert_close(ends[0], ends[1])


def recorded(file):
    facts = {"python": "3", "versions": {"torch": "2"}, "architecture": "x", "cores": 2,
             "load": 0.1, "quick": False, "scale": 1.0}  # fmt: skip
    step = {"section": "step", "work": "main"}
    block = {**step, "event": "block"}
    runner = {**block, "side": "runner, compiled", "monitors": 0.0005, "steps": 1500}
    chains = {"section": "chains", "event": "block", "n": 128}
    entries = [
        {"section": "facts", **facts},
        *({**block, "side": "plain", "seconds": s, "cpu": s} for s in (0.005, 0.006, 0.010)),
        *({**runner, "seconds": s} for s in (0.0024, 0.0025, 0.0026)),
        {**block, "side": "torchebm", "absent": "torchebm is not installed"},
        {**block, "side": "jax", "seconds": 0.0016, "cpu": 0.0016},
        {**step, "side": "jax", "event": "warm", "warm": 4.5},
        {**step, "side": "jax", "event": "memory", "megabytes": 400.2},
        {**step, "side": "jax", "event": "learn", "steps": 3000, "kl": 0.123},
        {**chains, "side": "jax", "seconds": 100e-6},
        {**chains, "side": "library, compiled", "seconds": 130e-6},
        {**chains, "side": "plain", "failed": "ValueError: no"},
        {"section": "quality", "side": "tutorial", "curve": [[10, 0.5], [100, 0.04]]},
        {"section": "quality", "side": "example", "curve": [[5, 0.06], [15, 0.05], [25, 0.03]]},
        {"section": "startup", "command": "ebmcore --help", "rounds": [0.2, 0.3, 0.4]},
    ]
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return file


def test_the_tables_say_what_was_recorded(tmp_path):
    import report

    text = report.write(recorded(tmp_path / "speed.jsonl"))
    assert (tmp_path / "speed.md").read_text() == text
    assert (tmp_path / "speed.png").stat().st_size > 1000
    lines = text.splitlines()

    def row(start):
        (found,) = [line for line in lines if line.startswith(f"| {start}")]
        return [cell.strip() for cell in found.strip("|").split("|")][1:]

    plain = row("tutorial's loop, plain torch | 6")
    assert plain[1:5] == ["", "1.00", "1.00", ""]
    assert row("torchebm")[0] == "torchebm is not installed"
    assert row("JAX, the whole loop jitted | 1.60")[2:] == ["3.75", "1.00", "4.5", "400", "0.123"]
    # 2.5 ms of which 0.5 are the monitors': 3 times as fast as 6
    assert row("ours, full runner, compiled")[:3] == ["2.50 (2.45 to 2.55)", "0.500", "3.00"]
    assert row("PCD step: plain's time over the full runner's, compiled | ")[1:] == ["3.00×", "met"]
    included = row(
        "PCD step: plain's time over the full runner's, compiled, monitors included, 1500"
    )
    assert included[1:] == ["2.40×", "**not met**"]
    assert row("Langevin step, 128 chains")[1:] == ["1.30×", "**not met**"]
    assert row("tutorial's loop, plain torch | failed")[0] == "failed: ValueError: no"
    assert row("examples/five_gaussians.yaml")[:3] == ["5.00", "15.0", "never"]
    assert row("five_gaussians to 0.05 nats")[1:] == ["0.15×", "met"]
    assert row("`ebmcore --help` | ≤")[1:] == ["0.30 s", "**not met**"]


@pytest.mark.slow
def test_a_worker_answers_says_what_is_missing_and_ends(monkeypatch, tmp_path):
    from speed import rounds

    fake = tmp_path / "torchebm"  # as if nothing of that name could be imported
    fake.mkdir()
    (fake / "__init__.py").write_text("raise ImportError('none here')\n")
    here = rounds.HERE
    monkeypatch.setattr(rounds, "HERE", f"{tmp_path}:{here}")
    with rounds.workers(["torchebm", "plain"]) as found:
        absent, plain = found
        assert "torchebm is not installed" in absent.ask("memory")["absent"]
        assert plain.ask("memory")["megabytes"] > 50
        assert plain.ask("warm_train", work="no such", seed=0, steps=1)["failed"] == (
            "KeyError: 'no such'"
        )
    assert all(worker.process.poll() is not None for worker in found)


@pytest.mark.plugins
def test_the_gpu_benchmark_runs_on_the_cpu(monkeypatch, tmp_path, capsys):
    import gpu

    out = tmp_path / "gpu.json"
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--quick", "--out", str(out)])
    assert gpu.main() == 0
    result = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == result
    assert result["facts"]["device"] == "cpu"
    rows = result["rows"]
    assert not [row for row in rows if "failed" in row or "skipped" in row]
    timed = {(row["section"], row["way"]) for row in rows if row.get("seconds", 0) > 0}
    assert timed == {
        *(("langevin", way) for way in ("plain", "eager", "bf16")),
        *(("training", way) for way in ("plain", "eager", "bf16")),
    }
    # three ways to diffuse alike: noise of variance 2 h a step, and a gradient that is nearly 0
    spreads = [row["spread"] for row in rows if "spread" in row]
    assert all(0.4 < spread < 0.9 for spread in spreads), spreads


@pytest.mark.plugins
def test_the_gpu_benchmark_says_what_differs():
    import gpu
    from gpu_rows.conformance import difference

    bench = gpu.Bench("meta", 60, quick=True)  # where a tensor of the CPU's is an error
    bench.begin(1.0)
    gpu.conformance(bench)
    assert not [row for row in bench.rows if not row.get("passed")]
    assert {row["kind"] for row in bench.rows} == {"energy", "sampler", "chains", "loss"}
    assert len(bench.rows) >= 50
    one = torch.tensor([1.0, 2.0])
    assert difference((one, 3), (one, 3)) == 0
    assert difference(one, one + torch.tensor([0.0, 0.5])) == pytest.approx(0.25)
    assert difference(one, one * torch.nan) == float("inf")
    assert difference(one > 1, one > 2) == float("inf")
    late = gpu.Bench("cpu", 0, quick=True)
    late.row("sync", 1, lambda: pytest.fail("no time was left"), way="eager")
    assert "skipped" in late.rows[0]


def test_help_tells_of_quick_and_of_the_sections():
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "bench.py", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for word in ("--quick", "--only", "--results", "quality", "overhead"):
        assert word in done.stdout
