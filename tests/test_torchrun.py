"""Runs on several ranks: real processes over gloo, forked where a fresh one is not the point."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import ebmcore

HERE = Path(__file__).parent
LAUNCH = (HERE / "ranks.py").read_text()
SOON = 15.0  # seconds from a rank's death to the end of the run that are promised
TIMES = ("time", "train/steps_per_second")
RIGHT = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "RANK": "0", "WORLD_SIZE": "2"}


@pytest.fixture
def config(config):
    """A run in which every kind of state matters, on each rank its own."""
    config["plugins"]["files"] += [str(HERE / "rank_parts.py"), str(HERE / "hard_parts.py")]
    config["energy"]["dropout"] = 0.2
    config["loss"] = [{"type": "gap"}, {"type": "critic"}, {"type": "smears"}, {"type": "ends"}]
    config["train"] = {
        "steps": 30, "batch_size": 20, "ema": 0.9, "data_noise": 0.1, "log_every": 7,
        "checkpoint_every": "11 steps", "clip_grad_norm": 0.5,
    }  # fmt: skip
    config["monitors"] = [{"type": "crowd", "every": "10 steps"}]
    return config


class Ended:
    """How all ranks ended, and the run that they left, if any."""

    def __init__(self, done):
        self.done = done
        self.text = done.stdout + done.stderr
        *rest, last = done.stdout.rsplit("\nexit codes: ", 1)
        self.out, self.codes = rest[0] if rest else "", json.loads(last)
        found = sorted(Path("runs").glob("*"))
        self.dir = found[-1] if found else None

    @property
    def facts(self):
        return json.loads((self.dir / "run.json").read_text())

    @property
    def log(self):
        return (self.dir / "log.txt").read_text()


@pytest.fixture
def on_ranks(forks, monkeypatch):
    """Run `ebmcore` with these arguments on so many ranks."""

    def call(ranks, *arguments, option=("-m", "ebmcore"), **variables):
        import os

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = {**os.environ, **variables}
        command = ("-c", LAUNCH, port, ranks, *option, *arguments)
        return Ended(forks.run(*command, cwd=Path.cwd(), env=env, timeout=100))

    return call


@pytest.fixture
def run(on_ranks):
    """Run a config on so many ranks."""

    def call(ranks, config, *arguments, **variables):
        Path("c.yaml").write_text(yaml.safe_dump(config))
        return on_ranks(ranks, "run", "c.yaml", *arguments, **variables)

    return call


def files_of(config):
    return [word for file in config["plugins"]["files"] for word in ("-p", file)]


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in found]


def tensors(folder, step=None):
    last = max(folder.glob("checkpoints/step-*"))
    place = last if step is None else folder / f"checkpoints/step-{step:08d}"
    return {
        f"{file.stem}/{name}": value
        for file in sorted(place.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }


def assert_same(one, other):
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert lines(one) == lines(other)


def heal(folder):
    """Let the part that ended the run do so no more."""
    file = folder / "config.yaml"
    text, n = re.subn(r"\bat: \d+", "at: -1", file.read_text())
    assert n
    file.write_text(text)


@pytest.mark.plugins
@pytest.mark.slow
def test_the_average_of_two_ranks_is_the_gradient_of_one_for_every_loss(on_ranks):
    ended = on_ranks(2, option=("-f", HERE / "rank_gradients.py"))
    assert ended.codes == [0, 0], ended.text
    found = json.loads(ended.out)
    assert len(found["gradients"]) >= 30
    for name, row in found["gradients"].items():
        assert row["off"] < 1e-12, name
        assert row["share"] > 0.01 or "l2_parameters" in name, name
    assert found["compiled"] < 1e-12


def test_ranks_train_one_run(run, config):
    ended = run(2, config, "--json")
    assert ended.codes == [0, 0], ended.text
    assert len(list(Path("runs").glob("*"))) == 1
    answer = json.loads(ended.out)  # one document, which is rank 0's
    assert answer["status"] == ended.facts["status"] == "FINISHED"
    assert ended.facts["ranks"] == 2
    # the batch is the config's, of all ranks together, and no two ranks' chains are the same
    assert answer["metrics"]["crowd/x"] == answer["metrics"]["crowd/x_neg"] == 20
    assert answer["metrics"]["crowd/different"] == 20
    assert answer["metrics"]["crowd/kept"] == 80  # 40 of each rank, as `kept` shares out nothing
    (warning,) = (w for w in answer["warnings"] if "divided over the ranks" in w)
    assert "each of the 2 ranks keeps as many chains" in warning
    assert {"rank-1.safetensors", "chains.safetensors"} <= {
        file.name for file in max(ended.dir.glob("checkpoints/*")).iterdir()
    }


def test_what_a_step_counts_and_what_buffers_hold_is_that_of_the_whole_batch(run, config):
    config["energy"] = {"type": "remembers"}
    config["loss"] = {"type": "gap"}
    config["train"] |= {"data_noise": 0.0, "steps": 1, "ema": None}
    alone, both = run(1, config), run(2, config)
    assert alone.codes + both.codes == [0, 0, 0], alone.text + both.text
    (one,), (two,) = ([line for line in lines(e.dir) if "loss" in line] for e in (alone, both))
    for name in ("train/energy_evaluations", "train/gradient_evaluations"):
        assert one[name] == two[name]
    found, expected = tensors(both.dir), tensors(alone.dir)
    assert torch.equal(found["weights/mask"], expected["weights/mask"])
    assert expected["weights/mean"].abs().sum() > 0
    # E is asked for x and then for x⁻, whose draws are each rank's own: only x is the same
    assert not torch.equal(found["weights/mean"], torch.zeros(2))


@pytest.mark.slow
@pytest.mark.parametrize("at", [10, 25])
def test_a_group_that_was_killed_goes_on_bit_for_bit(run, on_ranks, config, at):
    config["loss"][-1] |= {"at": -1}
    whole = run(2, config)
    assert whole.codes == [0, 0], whole.text
    shutil.move("runs", "whole")
    config["loss"][-1] |= {"at": at, "rank": -1, "how": "SIGKILL"}
    killed = run(2, config)
    assert killed.codes == [-9, -9]
    assert killed.facts["status"] == "RUNNING"
    heal(killed.dir)
    resumed = on_ranks(2, "resume", killed.dir, *files_of(config))
    assert resumed.codes == [0, 0], resumed.text
    assert resumed.facts["status"] == "FINISHED"
    (original,) = Path("whole").glob("*")
    assert_same(original, resumed.dir)


@pytest.mark.plugins
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_with_another_number_of_ranks_the_chains_are_dealt_anew(
    run, on_ranks, config, before, after
):
    config["chains"] = {"type": "persistent", "size": 60}
    config["loss"][-1] |= {"at": 25, "rank": -1, "how": "SIGKILL"}
    killed = run(before, config)
    assert killed.codes == [-9] * before
    heal(killed.dir)
    at_22 = tensors(killed.dir, 22)
    names = ("chains/buffer", "rank-1/state.chains.buffer")
    chains = torch.cat([at_22[name] for name in names if name in at_22])
    assert len(chains) == 60
    opened = ebmcore.load(killed.dir, plugins=config["plugins"]["files"])
    assert torch.equal(opened.chains.kept(), chains)  # all of them, in one process
    resumed = on_ranks(after, "resume", killed.dir, "--json", *files_of(config))
    assert resumed.codes == [0] * after, resumed.text
    (warning,) = (w for w in json.loads(resumed.out)["warnings"] if "redistributed" in w)
    assert re.search(rf"had {before} ranks? and resumes with {after}:", warning)
    assert resumed.facts["status"] == "FINISHED"
    assert [line["step"] for line in lines(resumed.dir) if "loss" in line] == [7, 14, 21, 28, 30]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("how", ["raise", "SIGKILL"])
def test_a_rank_that_dies_ends_the_run_as_failed(run, config, rank, how):
    config["loss"][-1] |= {"at": 12, "rank": rank, "how": how}
    ended = run(2, config)
    took = time.time() - Path("ended").stat().st_mtime
    assert ended.codes[1 - rank] == 1, ended.text
    assert ended.codes[rank] == (1 if how == "raise" else -9)
    assert ended.facts["status"] == "FAILED"
    assert "Traceback (most recent call last)" in ended.log
    assert took < SOON
    if how == "raise":
        assert "broken on purpose" in ended.facts["error"]
        assert 'raise KeyError("broken on purpose")' in ended.log
        assert rank == 0 or ended.facts["error"].startswith("rank 1: ")
    else:
        said = "exited without reporting an error" if rank else "rank 0 is gone"
        assert said in ended.facts["error"]


@pytest.mark.slow
def test_a_rank_that_hangs_is_waited_for_no_longer_than_was_said(run, config):
    config["loss"].append({"type": "sleeps", "at": 12})
    ended = run(2, config, EBMCORE_RANKS_TIMEOUT="1")
    assert ended.codes == [1, 1], ended.text
    assert ended.facts["status"] == "FAILED"
    assert "can't reach the others" in ended.facts["error"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_rank_stops_all_at_one_step(run, on_ranks, config, rank):
    config["loss"][-1] |= {"at": -1}
    whole = run(2, config)
    shutil.move("runs", "whole")
    config["loss"][-1] |= {"at": 12, "rank": rank, "how": "SIGTERM"}
    stopped = run(2, config)
    assert stopped.codes == [143, 143], stopped.text
    assert (stopped.facts["status"], stopped.facts["step"]) == ("KILLED", 13)
    heal(stopped.dir)
    resumed = on_ranks(2, "resume", stopped.dir, *files_of(config))
    assert resumed.codes == whole.codes == [0, 0], resumed.text
    (original,) = Path("whole").glob("*")
    assert_same(original, resumed.dir)


def test_sigusr1_to_one_rank_saves_all(run, config):
    config["loss"][-1] |= {"at": 12, "rank": 1, "how": "SIGUSR1"}
    config["train"]["checkpoint_every"] = "end"
    ended = run(2, config)
    assert ended.codes == [0, 0], ended.text
    places = sorted(place.name for place in ended.dir.glob("checkpoints/*"))
    assert places == ["step-00000013", "step-00000030"]


@pytest.mark.parametrize("choice", ["stop", "skip", "rollback"])
def test_ranks_decide_alike_on_what_diverged_on_one(run, config, choice):
    config["loss"].append({"type": "overflows_on", "rank": 1, "at": 12})
    config["train"]["on_divergence"] = choice
    ended = run(2, config)
    if choice == "stop":
        assert ended.codes == [1, 1], ended.text
        assert "step 13" in ended.facts["error"]
        return
    assert ended.codes == [0, 0], ended.text
    assert ended.facts["status"] == "FINISHED"
    assert (ended.facts["skipped"], ended.facts["rollbacks"]) == (
        (1, 0) if choice == "skip" else (0, 1)
    )


def test_the_best_is_saved_when_rank_0_hears_of_it(run, config):
    config["train"] |= {"keep_best": "max crowd/different", "checkpoint_every": "end"}
    ended = run(2, config)
    assert ended.codes == [0, 0], ended.text
    assert ended.facts["best"]["step"] == 10
    assert (ended.dir / "checkpoints" / "step-00000010").is_dir()


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("train", "batch_size", 21, r"train.batch_size: should be divisible by the 2 ranks, .*21"),
        ("loss", 3, {"type": "nothing"}, r"no loss 'nothing'"),
    ],
)
def test_a_config_is_refused_once_and_for_all_ranks(run, config, section, key, value, message):
    config[section][key] = value
    ended = run(2, config)
    assert ended.codes == [2, 2]
    assert len(re.findall(message, ended.text)) == 1, ended.text
    assert "Traceback" not in ended.text
    assert not list(Path("runs").glob("*"))


@pytest.mark.plugins
def test_chains_without_equal_shares_are_refused(run, config):
    config["chains"] = {"type": "persistent", "size": 61}
    ended = run(2, config)
    assert ended.codes == [2, 2]
    assert "size should be divisible by the 2 ranks" in ended.text


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RANK", "5", "RANK: should be below WORLD_SIZE, 2; got 5"),
        ("MASTER_PORT", "0", "MASTER_PORT: should be a whole number of at least 1; got '0'"),
        ("WORLD_SIZE", "two", "WORLD_SIZE: should be a whole number of at least 1; got 'two'"),
    ],
)
def test_a_wrong_environment_is_refused(ebmcore_command, config, monkeypatch, name, value, message):
    for variable, text in {**RIGHT, name: value}.items():
        monkeypatch.setenv(variable, text)
    Path("c.yaml").write_text(yaml.safe_dump(config))
    done = ebmcore_command("run", "c.yaml")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("run", "c.yaml", "--seeds", "2"), ("sweep", "s.yaml")])
def test_what_one_process_begins_is_refused_on_several_ranks(
    ebmcore_command, config, monkeypatch, command
):
    Path("c.yaml").write_text(yaml.safe_dump(config))
    Path("s.yaml").write_text("base: c.yaml\n")
    for key, text in RIGHT.items():
        monkeypatch.setenv(key, text)
    done = ebmcore_command(*command)
    assert done.returncode == 2
    assert "can't run under torchrun (WORLD_SIZE=2); start one process" in done.stderr
    assert not Path("runs").exists()


def torchrun(*arguments):
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    return subprocess.run(
        [sys.executable, *command, "ebmcore", *map(str, arguments)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_under_torchrun_a_killed_rank_ends_the_run_and_mlflow_says_so(config, store):
    config["loss"][-1] |= {"at": 12, "rank": 1, "how": "SIGKILL"}
    config["tracking"] = {"experiment": "ranks"}
    Path("c.yaml").write_text(yaml.safe_dump(config))
    done = torchrun("run", "c.yaml")
    took = time.time() - Path("ended").stat().st_mtime
    assert done.returncode == 1
    (folder,) = Path("runs").glob("*")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "FAILED", facts
    assert "exited without reporting an error" in facts["error"]
    assert took < SOON
    assert store.get_run(facts["mlflow"]["run_id"]).info.status == "FAILED"


@pytest.mark.plugins
@pytest.mark.slow
def test_five_gaussians_under_torchrun_reach_the_kl_of_one_process():
    """In 55 of the example's 150 epochs, with the schedule and the average that fit so many.

    With them the KL falls steadily: 0.056 nats after 40 epochs of 45, 0.043 after 45.
    """
    shorter = [
        "train.epochs=55", "lr_scheduler.total_iters=55", "lr_scheduler.end_factor=0.05",
        "train.ema=0.999", "loss.1.weight=0.02",
    ]  # fmt: skip
    monitors = "monitors=[{type: exact_likelihood, every: end}]"
    example = HERE.parent / "examples" / "five_gaussians.yaml"
    done = torchrun("run", example, *shorter, monitors, "tracking=off", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "FINISHED"
    assert answer["metrics"]["exact_likelihood/kl"] <= 0.05
