"""`run --seeds`: real runs under a parent that holds what they have in common."""

import json
import re
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import ebmcore
from ebmcore.cli.main import app
from ebmcore.errors import ConfigError, EbmError, RunError
from ebmcore.runs.family import by_key, read_children
from ebmcore.runs.status import read_account
from ebmcore.trackers.mlflow.parent import Parent
from ebmcore.train.rng import derive
from support import FORKING, ROOT, servers


def numbers(run_dir):
    """Return a run's epoch and metrics at each step."""
    found = {}
    for text in (run_dir / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        del line["time"]
        found.setdefault(line.pop("step"), {}).update(line)
    return found


def without_speed(found):
    return {
        step: {name: value for name, value in line.items() if "per_second" not in name}
        for step, line in found.items()
    }


def facts(run_dir):
    return json.loads((run_dir / "run.json").read_text())


@pytest.mark.slow
def test_the_parent_holds_the_medians_and_the_range_of_its_runs(config, forked):
    group = ebmcore.run_seeds(config, 3, launcher=forked, progress=False)
    assert (group.status, group.failed) == ("FINISHED", {})
    assert list(group.children) == ["seed-3", "seed-4", "seed-5"]  # from the config's own seed on
    runs = {key: numbers(path) for key, path in group.children.items()}
    assert [facts(path)["seed"] for path in group.children.values()] == [3, 4, 5]
    seen = numbers(group.dir)
    assert list(seen) == list(runs["seed-3"]) == [5, 9, 10, 15, 18]
    for step, line in seen.items():
        assert line["epoch"] == runs["seed-3"][step]["epoch"]
        assert set(line) == {"epoch"} | {
            name + end
            for name in runs["seed-3"][step] if name != "epoch"
            for end in ("", ".low", ".high")
        }  # fmt: skip
        for name in set(runs["seed-3"][step]) - {"epoch"}:
            values = [run[step][name] for run in runs.values()]
            assert line[name] == pytest.approx(statistics.median(values), rel=1e-12)
            assert (line[f"{name}.low"], line[f"{name}.high"]) == (min(values), max(values))
    assert group.metrics["loss"] == seen[18]["loss"]
    assert group.spreads()["loss"].n == 3
    assert group.finals()["loss"] == [run[18]["loss"] for run in runs.values()]
    assert (group.dir / "figures/loss/loss.png").stat().st_size > 5000
    assert not list(group.dir.glob("figures/train/*"))
    assert ebmcore.Group.load(group.dir).metrics == group.metrics
    shown = CliRunner().invoke(app, ["runs", "show", str(group.dir)]).output
    assert "metric, 3 runs" in shown
    assert "loss.low" not in shown

    # a child is what the same config and seed give alone, bit for bit
    alone = ebmcore.run(config, {"seed": 4}, progress=False)
    assert without_speed(numbers(alone.dir)) == without_speed(runs["seed-4"])


@pytest.mark.slow
def test_failed_runs_are_listed_and_all_failed_is_a_failure(config, forked, tmp_path):
    parts = tmp_path / "odd.py"
    parts.write_text(
        "from ebmcore import loss\n\n"
        "@loss\n"
        "def odd(energy, x, generator, *, seed: int = 0, bad: list[int] = []):\n"
        "    if generator.initial_seed() % 2:\n"
        "        raise ValueError('an odd seed')\n"
        "    return energy(x).mean()\n"
    )
    config["plugins"]["files"].append(str(parts))
    config["loss"] = {"type": "odd:odd"}
    del config["sampler"], config["chains"]
    odd = [s for s in range(20) if derive(s, "loss odd") % 2]
    even = [s for s in range(20) if s not in odd]
    group = ebmcore.run_seeds(config, [*even[:2], odd[0]], launcher=forked, progress=False)
    assert group.status == "FINISHED"
    assert list(group.children) == [f"seed-{s}" for s in even[:2]]
    assert "an odd seed" in group.failed[f"seed-{odd[0]}"]
    assert "FAILED" in group.failed[f"seed-{odd[0]}"]
    with pytest.raises(RunError, match=r"none of its 2 runs finished.*an odd seed") as raised:
        ebmcore.run_seeds(config, odd[:2], launcher=forked, progress=False)
    assert raised.value.run.status == "FAILED"
    assert facts(raised.value.run.dir)["status"] == "FAILED"
    assert not (raised.value.run.dir / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (1, "should be at least 2, since one run has no spread; got 1"),
        ([3, 3], "each should stand once"),
        ([-1, 2], "should be whole numbers from 0 on"),
    ],
)
def test_meaningless_seeds_are_refused_before_any_write(config, seeds, said):
    with pytest.raises(ConfigError, match=said):
        ebmcore.run_seeds(config, seeds, progress=False)
    with pytest.raises(EbmError, match="launcher"):
        ebmcore.run_seeds(config, 2, launcher="nowhere", progress=False)
    config["train"]["batch_size"] = 1000
    with pytest.raises(ConfigError, match=r"train.batch_size"):
        ebmcore.run_seeds(config, 2, progress=False)
    assert not Path("runs").exists()


def test_the_command_line_reads_seeds_and_refuses_what_is_none(config):
    Path("c.yaml").write_text(yaml.safe_dump(config))
    for arguments, said in (
        (["--seeds", "many"], "should be how many, such as 5, or which, such as 3,5,8; got 'many'"),
        (["--seeds", "0"], "should be at least 2"),
        (["--workers", "2"], "--workers: is for several runs; there is one without --seeds"),
        (["--seeds", "2", "--profile"], "--profile: is for one run"),
    ):
        done = CliRunner().invoke(app, ["run", "c.yaml", *arguments])
        assert done.exit_code == 2
        assert said in done.stderr
    assert not Path("runs").exists()


HELD = """
import signal
import time
from pathlib import Path

from ebmcore import loss

@loss
def held(energy, x, step):
    # as long as there is a file `hold`, no run comes further, unless it is asked to end
    interrupts = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    while step >= 10 and Path("hold").exists() and interrupts.number is None:
        time.sleep(0.02)
    return energy(x).mean()
"""


@pytest.fixture
def held_group(config):
    """Start `run --seeds 3,4` of runs that wait at step 10 to be stopped; return the process."""
    started = []

    def start():
        Path("held.py").write_text(HELD)
        Path("hold").touch()
        config["plugins"]["files"].append("held.py")
        config["loss"] = {"type": "held:held"}
        config["train"] = {
            "steps": 20, "batch_size": 20, "log_every": 5, "checkpoint_every": "5 steps",
        }  # fmt: skip
        Path("c.yaml").write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "ebmcore", "run", "c.yaml", "--seeds", "3,4", "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def begun(key):
    """Say whether a child has written a checkpoint."""
    for parent in Path("runs").glob("*/children"):
        child = by_key(read_children(parent.parent)).get(key)
        if child is not None and list(child.path.glob("checkpoints/step-*")):
            return child
    return None


@pytest.mark.slow
def test_a_group_that_was_interrupted_goes_on_to_the_same_end(held_group, config, forked):
    process = held_group()
    servers.wait_until(lambda: begun("seed-3"), seconds=240, what="a checkpoint")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 130
    found = json.loads(out)
    parent = Path(found["run_dir"])
    assert (found["status"], facts(parent)["status"]) == ("KILLED", "KILLED")
    child = read_account(begun("seed-3").path)
    assert (child.status, child.process_gone) == ("KILLED", False)  # it ended in order
    assert not (parent / "metrics.jsonl").exists()

    with pytest.raises(EbmError, match="resume_seeds goes on"):
        ebmcore.resume(parent)
    with pytest.raises(EbmError, match="If you trust them, add -p"):
        ebmcore.resume_seeds(parent, launcher=forked, progress=False)
    Path("hold").unlink()
    files = [str(parent / f"plugins/{name}.py") for name in ("parts", "held")]
    group = ebmcore.resume_seeds(parent, plugins=files, launcher=forked, progress=False)
    assert (group.status, list(group.children)) == ("FINISHED", ["seed-3", "seed-4"])
    assert group.children["seed-3"] == child.path  # it went on, rather than anew
    assert [task.argv[3] for task in forked.tasks] == ["resume", "run"]
    whole = ebmcore.run(config, progress=False)
    assert without_speed(numbers(child.path)) == without_speed(numbers(whole.dir))
    again = ebmcore.resume_seeds(parent, launcher=forked, progress=False)
    assert again.metrics == group.metrics
    assert len(forked.tasks) == 2


@pytest.mark.slow
def test_a_killed_group_waits_for_its_surviving_runs(held_group, forked):
    process = held_group()
    servers.wait_until(lambda: begun("seed-3"), seconds=240, what="a checkpoint")
    process.kill()
    process.wait()
    child = begun("seed-3")
    (parent,) = (p.parent for p in Path("runs").glob("*/children"))
    assert read_account(parent).process_gone
    outlived = read_account(child.path).status == "RUNNING"
    Path("hold").unlink()
    files = [str(parent / f"plugins/{name}.py") for name in ("parts", "held")]
    group = ebmcore.resume_seeds(parent, plugins=files, launcher=forked, progress=False)
    assert (group.status, len(group.children)) == ("FINISHED", 2)
    assert outlived
    assert [task.argv[3] for task in forked.tasks] == ["run"]  # seed-3 ended by itself


@pytest.mark.slow
def test_mlflow_has_one_parent_with_its_medians_and_its_runs(config, forked, store):
    config["tracking"] = {}
    group = ebmcore.run_seeds(config, 2, launcher=forked, progress=False)
    (experiment,) = store.search_experiments(filter_string="name = 'bare'")
    found = {r.info.run_name: r for r in store.search_runs([experiment.experiment_id])}
    mother = found.pop(group.dir.name)
    assert mother.info.run_id == group.mlflow_run_id
    assert mother.data.params["seeds"] == "3,4"
    assert servers.held(store, mother.info.run_id) == servers.recorded(group.dir)
    assert {r.data.tags["mlflow.parentRunId"] for r in found.values()} == {mother.info.run_id}
    assert len(found) == 2
    pictures = {f.path for f in store.list_artifacts(mother.info.run_id, "figures/loss")}
    assert "figures/loss/loss.png" in pictures


MEETING = """
import os, time
from pathlib import Path

from ebmcore import loss

@loss
def meets(energy, x, step):
    Path(f"here-{os.getpid()}").touch()
    until = time.monotonic() + 240
    while len(list(Path().glob("here-*"))) < 2:
        if time.monotonic() > until:
            raise TimeoutError("nobody else came")
        time.sleep(0.02)
    return energy(x).mean()
"""


@pytest.mark.slow
def test_two_runs_go_on_at_once_by_the_local_launcher(config, tmp_path):
    (tmp_path / "meeting.py").write_text(MEETING)
    config["plugins"]["files"].append("meeting.py")
    config["loss"] = {"type": "meeting:meets"}
    del config["sampler"], config["chains"], config["monitors"]
    group = ebmcore.run_seeds(config, 2, workers=2, progress=False)
    assert (group.status, len(group.children)) == ("FINISHED", 2)


@pytest.fixture
def group_of(config, monkeypatch):
    """Make a parent of real runs, trained one after the other in this process."""

    def make(seeds, **overrides):
        with Parent.begin("seeds", config, tracking=None, seeds=[*seeds]) as parent:
            for seed in seeds:
                with monkeypatch.context() as patch:
                    for name, value in parent.environment(f"seed-{seed}").items():
                        patch.setenv(name, value)
                    ebmcore.run(config, {"seed": seed, **overrides}, progress=False)
            parent.update(members=[f"seed-{seed}" for seed in seeds])
        return parent.path

    return make


def diff(*run_dirs):
    asked = ["runs", "diff", *map(str, run_dirs)]
    document = CliRunner().invoke(app, [*asked, "--json"])
    return json.loads(document.stdout), CliRunner().invoke(app, asked)


@pytest.mark.slow
def test_diff_compares_two_groups_with_their_spread(config, group_of):
    config["monitors"] = []
    config["loss"] = {"type": "parts:size"}  # the weights' square, which falls with each step
    del config["sampler"], config["chains"]
    slow, alike, fast = (
        group_of(range(4)),
        group_of(range(10, 14)),
        group_of(range(20, 24), **{"train.epochs": 8}),
    )
    found, shown = diff(slow, fast)
    size = found["metrics"]["loss"]
    values = {
        run: [facts(a.path)["metrics"]["loss"] for a in read_children(run)] for run in (slow, fast)
    }
    assert max(values[fast]) < min(values[slow])  # or this test tests nothing
    assert size["verdict"] == "differ"
    assert size["p"] == pytest.approx(2 / 70)
    assert size["a"]["median"] == statistics.median(values[slow])
    assert (size["b"]["low"], size["b"]["high"]) == (min(values[fast]), max(values[fast]))
    assert size["difference"] == pytest.approx(size["b"]["median"] - size["a"]["median"])
    assert size["low"] < size["difference"] < size["high"] < 0
    assert not any(name.startswith("train/") for name in found["metrics"])
    assert "4 v 4 runs can give 0.0286 at least" in shown.stdout
    found, _ = diff(slow, alike)
    assert found["metrics"]["loss"]["verdict"] == "not seen to differ"
    assert found["metrics"]["loss"]["low"] < 0 < found["metrics"]["loss"]["high"]

    few = group_of(range(30, 33), **{"train.epochs": 8})
    found, shown = diff(slow, few)
    assert found["metrics"]["loss"]["least_p"] == pytest.approx(2 / 35)
    assert found["metrics"]["loss"]["verdict"] == "too few to tell"
    assert "too few for any p < 0.05: 4 v 4 are enough" in shown.stdout

    inside = sorted(read_children(slow), key=lambda a: facts(a.path)["metrics"]["loss"])[1]
    found, shown = diff(inside.path, slow)
    assert found["metrics"]["loss"]["where"] == "within"
    assert found["metrics"]["loss"]["single"] == "A"
    assert "outside the range of 4 in 40% of cases" in shown.stdout
    found, _ = diff(slow, read_children(fast)[0].path)
    assert found["metrics"]["loss"]["where"] == "below all"


def test_a_group_of_which_nothing_has_finished_has_no_spread(config):
    with Parent.begin("seeds", config, tracking=None, seeds=[3, 4]) as parent:
        pass
    done = CliRunner().invoke(app, ["runs", "diff", str(parent.path), str(parent.path)])
    assert done.exit_code == 2
    assert "none of its runs has finished" in done.stderr


@pytest.mark.slow
@pytest.mark.plugins
def test_the_pages_commands_run(ebmcore_command, monkeypatch):
    """As they stand in docs/seeds.md, but two seeds, forked, without tracking, and real names."""
    page = (ROOT / "docs" / "seeds.md").read_text()
    (config,) = re.findall(r"```yaml\n# gauss.yaml\n(.*?)```", page, re.DOTALL)
    Path("gauss.yaml").write_text(config + "tracking: off\n")
    (commands,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    said = []
    for command in commands.splitlines():
        parents = sorted((p.parent for p in Path("runs").glob("*/children")), key=began)
        names = dict(zip(("runs/gauss-A", "runs/gauss-B"), map(str, parents), strict=False))
        words = [names.get(word, word) for word in command.split()]
        program, *arguments = ["2" if word == "4" else word for word in words]
        assert program == "ebmcore"
        if "--seeds" in arguments:
            arguments += ["--launcher", "forking", "-p", FORKING]
        done = ebmcore_command(*arguments)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert all("2 of 2 seeds finished" in text for text in said[:2])
    assert said[2].count("2 children: 2 FINISHED") == 2
    assert "exact_likelihood/kl" in said[3]
    assert "too few to tell" in said[3]
    assert "optimizer.lr" in said[3]


def began(run_dir):
    return facts(run_dir)["started"]
