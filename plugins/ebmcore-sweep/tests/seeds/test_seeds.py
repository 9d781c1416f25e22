"""`run --seeds`: real runs under a parent that holds what they have in common."""

import re
import statistics
from pathlib import Path

import ebmcore_sweep
import pytest
import yaml
from typer.testing import CliRunner

import ebmcore
from ebmcore.cli.main import app
from ebmcore.errors import ConfigError, EbmError, RunError
from ebmcore.train.rng import derive
from support import FORKING, ROOT, servers
from support.runs import facts, numbers, without_speed


@pytest.mark.slow
def test_the_parent_holds_the_medians_and_the_range_of_its_runs(config, forked):
    group = ebmcore_sweep.run_seeds(config, 3, launcher=forked, progress=False)
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
    assert ebmcore_sweep.Group.load(group.dir).metrics == group.metrics
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
    group = ebmcore_sweep.run_seeds(config, [*even[:2], odd[0]], launcher=forked, progress=False)
    assert group.status == "FINISHED"
    assert list(group.children) == [f"seed-{s}" for s in even[:2]]
    assert "an odd seed" in group.failed[f"seed-{odd[0]}"]
    assert "FAILED" in group.failed[f"seed-{odd[0]}"]
    with pytest.raises(RunError, match=r"none of its 2 runs finished.*an odd seed") as raised:
        ebmcore_sweep.run_seeds(config, odd[:2], launcher=forked, progress=False)
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
        ebmcore_sweep.run_seeds(config, seeds, progress=False)
    with pytest.raises(EbmError, match="launcher"):
        ebmcore_sweep.run_seeds(config, 2, launcher="nowhere", progress=False)
    config["train"]["batch_size"] = 1000
    with pytest.raises(ConfigError, match=r"train.batch_size"):
        ebmcore_sweep.run_seeds(config, 2, progress=False)
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


@pytest.mark.slow
def test_mlflow_has_one_parent_with_its_medians_and_its_runs(config, forked, store):
    config["tracking"] = {"checkpoints": "none"}
    group = ebmcore_sweep.run_seeds(config, 2, launcher=forked, progress=False)
    (experiment,) = store.search_experiments(filter_string="name = 'bare'")
    found = {r.info.run_name: r for r in store.search_runs([experiment.experiment_id])}
    mother = found.pop(group.dir.name)
    assert mother.info.run_id == group.mlflow_run_id
    assert mother.data.params["seeds"] == "3,4"
    medians = {
        point: n
        for point, n in servers.recorded(group.dir).items()
        if not point[0].endswith((".low", ".high"))  # pictures have these
    }
    assert servers.held(store, mother.info.run_id) == medians
    assert set(found) == {"seed-3 · bare", "seed-4 · bare"}
    assert {r.data.tags["ebmcore.group"] for r in found.values()} == {group.dir.name}
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
    group = ebmcore_sweep.run_seeds(config, 2, workers=2, progress=False)
    assert (group.status, len(group.children)) == ("FINISHED", 2)


@pytest.mark.slow
@pytest.mark.plugins
def test_the_pages_commands_run(ebmcore_command, monkeypatch):
    """As they stand in docs/seeds.md, but short, two seeds, forked, untracked, and real names."""
    page = (ROOT / "docs" / "seeds.md").read_text()
    (config,) = re.findall(r"```yaml\n# gauss.yaml\n(.*?)```", page, re.DOTALL)
    assert "{epochs: 6," in config
    assert "every: 2 epochs" in config
    short = config.replace("epochs: 6", "epochs: 2")
    Path("gauss.yaml").write_text(short + "tracking: off\n")
    (commands,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    said = []
    for command in commands.splitlines():
        parents = sorted((p.parent for p in Path("runs").glob("*/children")), key=began)
        names = dict(zip(("runs/gauss-A", "runs/gauss-B"), map(str, parents), strict=False))
        words = [names.get(word, word) for word in command.split()]
        program, *arguments = ["2" if word == "4" else word for word in words]
        assert program == "ebmcore"
        if arguments[0] == "seeds":
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
