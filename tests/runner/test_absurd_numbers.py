"""A number that no machine can follow is one message: it kills no process and fills no memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ebmcore
import support
from ebmcore import ConfigError, EbmError, RunError
from ebmcore.runner.checks import memory
from ebmcore.sampling import Sampler, as_kernel
from ebmcore.train.threads import processors
from support import PARTS
from support.runs import go

SKIPS = str(support.SKIPS)
ABSURD = [2**31, 2**63, 2**64, 10**30]


@pytest.fixture
def config(config):
    config["monitors"] = []
    config["train"] = {"steps": 5, "batch_size": 20}
    return config


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**9, *ABSURD])
def test_threads_are_refused_before_any_is_started(config, threads):
    with pytest.raises(ConfigError, match=r"threads: should be .* (1024|than 0); got"):
        go(config, threads=threads)
    energy = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    made = ebmcore.Experiment(
        data=torch.rand(50, 2),
        energy=energy,
        loss=lambda energy, x: energy(x).mean(),
        threads=threads,
    )
    with pytest.raises(ConfigError, match="threads: should be from 1 to 1024, or auto; got"):
        made.run(steps=2, batch_size=10, tracking="off", progress=False)
    assert not list(Path().glob("runs/*"))


@pytest.mark.slow
def test_the_most_threads_allowed_are_started_or_refused(config, tmp_path, ebmcore_command):
    (tmp_path / "c.json").write_text(json.dumps(config | {"data": {"type": "line", "n": 200_000}}))
    words = ("run", "c.json", "threads=1024")
    started = ebmcore_command(*words)
    assert started.returncode == 0, started.stderr
    limited = f"ulimit -v 12000000; exec {sys.executable} -m ebmcore {' '.join(words)}"
    done = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    (status,) = [json.loads(p.read_text())["status"] for p in tmp_path.glob("runs/*/run.json")]
    assert status == "FINISHED"
    assert "threads: the system can't start 1024 threads for this process; ask" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("names", [("OMP",), ("MKL", "OPENBLAS")], ids=lambda n: n[0])
def test_threads_of_the_environment_kill_no_run(config, tmp_path, names):
    # torch reads MKL's where OMP's is not set; numpy alone has OpenBLAS
    absurd = {f"{name}_NUM_THREADS": "1000000000" for name in names}
    env = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | absurd
    (tmp_path / "c.json").write_text(json.dumps(config | {"data": {"type": "line", "n": 200_000}}))
    done = subprocess.run(
        [sys.executable, "-m", "ebmcore", "run", "c.json", "--json"],
        capture_output=True, text=True, check=False, env=env,
    )  # fmt: skip
    assert json.loads(done.stdout)["status"] == "FINISHED", done.stderr


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize(
    "key",
    ["seed", "train.log_every", "train.keep_checkpoints", "train.max_skips", "train.max_rollbacks"],
)
def test_numbers_that_only_count_may_be_as_large_as_one_likes(config, key, value):
    assert go(config, **{key: value}).status == "FINISHED"


@pytest.mark.parametrize("value", ABSURD)
def test_a_cadence_may_be_as_seldom_as_one_likes(config, value):
    config["monitors"] = [{"type": "parts:warns", "every": f"{value} steps"}]
    for unit in ("steps", "epochs", "minutes"):
        assert go(config, train__checkpoint_every=f"{value} {unit}").status == "FINISHED"


@pytest.mark.parametrize("value", [10**15, *ABSURD[1:]])
@pytest.mark.parametrize("key", ["data.n", "data.dimension", "chains.size"])
def test_a_part_larger_than_memory_is_refused_by_its_key(config, key, value):
    section, _, name = key.partition(".")
    with pytest.raises(ConfigError) as caught:
        go(config, **{key: value})
    told = str(caught.value)
    assert "\n" not in told
    assert section in told
    assert "needs more than this machine has" in told
    assert key == "chains.size" or f"its largest number is {name}: {value} (" in told


def test_a_batch_is_no_larger_than_the_data(config):
    for value in ABSURD:
        with pytest.raises(ConfigError, match=r"train.batch_size: should be at most the 180"):
            go(config, train__batch_size=value)


def test_memory_that_a_step_asks_for_in_vain_fails_the_run(config):
    config["plugins"]["files"].append(SKIPS)
    config["loss"] = [{"type": "gap"}, {"type": "hoards"}]
    with pytest.raises(RunError, match=r"FAILED: step 4: loss 'skip_parts:hoards' .* memory"):
        go(config)
    for size in ABSURD[1:]:
        with pytest.raises(RunError, match=r"step 4: loss 'skip_parts:hoards'"):
            go(config, loss__hoards__size=size)


def test_more_samples_than_the_memory_holds_are_refused(config):
    run = go(config)
    for n in (10**12, *ABSURD[1:]):
        with pytest.raises(EbmError, match=rf"^n: {n} of 8 bytes each are more than the .* GB"):
            run.sample(n)
    run.sampler = Sampler(as_kernel(lambda energy, x, generator: torch.zeros(10**15)), 1)
    with pytest.raises(EbmError, match=r"^n: 5 events are too many: RuntimeError: .*memory"):
        run.sample(5)
    assert memory.memory() > 2**28


@pytest.mark.plugins
@pytest.mark.parametrize("n", [100_001, *ABSURD])
def test_seeds_and_workers_are_bounded(config, n):
    from ebmcore_sweep import run_seeds

    with pytest.raises(
        ConfigError, match=r"seeds: should be at most 100,000, each a run of its own"
    ):
        run_seeds(config, n)
    with pytest.raises(ConfigError, match=rf"workers: should be at most {16 * processors()} on"):
        run_seeds(config, 50_000, workers=n)
    assert not list(Path().glob("runs/*"))


def test_commands_refuse_them_in_a_message(config, tmp_path, ebmcore_command):
    (tmp_path / "c.json").write_text(json.dumps(config))
    run = go(config).dir
    own = ("-p", PARTS)
    for words in (
        ("run", "c.json", "threads=1000000000"),
        ("run", "c.json", f"data.n={10**30}"),
        ("sample", run, "-n", 10**30, *own),
        ("sample", run, "-n", 10**14, "--json", *own),
    ):
        done = ebmcore_command(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.plugins
@pytest.mark.parametrize("words", [(10**12,), (3000, "--workers", 10**9)])
def test_absurd_groups_are_refused_in_a_message(words, config, tmp_path, ebmcore_command):
    (tmp_path / "c.json").write_text(json.dumps(config))
    for command in (("run", "c.json", "--seeds"), ("seeds", "c.json", "-n")):
        done = ebmcore_command(*command, *words)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1
