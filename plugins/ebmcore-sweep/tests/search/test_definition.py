"""The file of a sweep: all that can be wrong with it is told at once, with its line, beforehand."""

import json
import os

import pytest
import yaml
from ebmcore_sweep import check_sweep
from ebmcore_sweep.search.definition import read_sweep
from ebmcore_sweep.search.space import Space
from typer.testing import CliRunner

from ebmcore import Host
from ebmcore.cli.main import app
from ebmcore.errors import ConfigError

GOOD = {
    "base": "base.yaml",
    "space": {
        "optimizer.lr": {"type": "float", "low": 1e-3, "high": 0.1, "log": True},
        "sampler.n_steps": {"type": "int", "low": 1, "high": 5, "step": 2},
        "loss.type": ["gap", "size"],
        "loss.beta": {"type": "float", "low": 0.5, "high": 2.0, "when": {"loss.type": "gap"}},
        "energy": {"type": "categorical", "choices": ["bowl", {"type": "bowl", "width": 2.0}]},
    },
    "objective": {"metric": "looks/mean"},
    "budget": {"trials": 3},
}


@pytest.fixture
def write(config, tmp_path):
    """Write a sweep's file, changed at dotted keys, beside its base; return its path."""
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def put(**changes):
        found = {**GOOD, **changes}
        file = tmp_path / "tune_it.yaml"
        file.write_text(
            yaml.safe_dump({k: v for k, v in found.items() if v is not None}, sort_keys=False)
        )
        return file

    return put


def problems(file):
    with pytest.raises(ConfigError) as raised:
        check_sweep(file)
    return {p.path: f"{p.where}: {p.message}" for p in raised.value.problems}


def line_of(file, text):
    (number,) = [i for i, line in enumerate(file.read_text().splitlines(), 1) if text in line]
    return f"{file}:{number}"


def test_a_good_one_is_taken(write):
    checked = check_sweep(write())
    sweep = checked.sweep
    assert (sweep.name, sweep.objective.direction) == ("tune-it", "minimize")
    assert checked.prepared.config.record["optimizer"]["lr"] == 1e-3
    assert sweep.base.tree["plugins"] == {}
    assert [file.rpartition("/")[2] for file in sweep.files] == ["parts.py"]
    again = read_sweep(sweep.definition())  # as a worker reads it
    assert again.question() == sweep.question()
    assert json.loads(json.dumps(sweep.definition())) == sweep.definition()


def test_the_base_may_stand_in_the_file(write, config):
    assert check_sweep(write(base=config)).sweep.base.tree["seed"] == 3
    config["train"]["batch_size"] = 0
    file = write(base=config)
    assert problems(file) == {
        "train.batch_size": f"{line_of(file, 'batch_size')}: should be greater than 0; got 0"
    }


def test_a_key_of_a_section_that_the_base_lacks(write, config):
    del config["optimizer"]
    lr = {"type": "float", "low": 1e-3, "high": 0.1}
    checked = check_sweep(write(base=config, space={"optimizer.lr": lr}))
    assert "optimizer" not in checked.sweep.base.tree
    found = problems(write(base=config, space={"lr_scheduler.gamma": [0.9, 0.99]}))
    assert "lr_scheduler: has no `type`; add `type: NAME`" in found["space.lr_scheduler.gamma"]


def test_every_end_of_a_range_is_tried_with_its_condition(write):
    space = check_sweep(write()).sweep.space
    tried = [(key, values[key]) for key, values in space.examples()]
    assert [value for key, value in tried if key == "sampler.n_steps"] == [1, 5]
    assert [value for key, value in tried if key == "loss.type"] == ["gap", "size"]
    assert len(tried) == 10
    for key, values in space.examples():
        assert ("loss.beta" in values) == (values["loss.type"] == "gap"), key
        assert next(iter(values)) == "energy"  # a part is set before the keys inside another


def test_a_choice_is_what_the_file_says_of_whatever_kind():
    choices = [True, 2, None, {"type": "bowl", "width": 2.0}, ["a"]]
    space = read_sweep({**GOOD, "base": {}, "space": {"energy": choices}}).space
    labels = space.ranges["energy"].distribution().choices
    assert [repr(space.of({"energy": label})["energy"]) for label in labels] == [
        repr(choice) for choice in choices
    ]


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"budgett": 1}, "budgett", "unknown key. Did you mean 'budget'?"),
        ({"objective": None}, "objective", "missing; it has no default"),
        ({"objective": {"metric": "a", "direction": "up"}}, "objective.direction",
         "should be 'minimize' or 'maximize'; got \"up\""),
        ({"budget": {}}, "budget", "give trials or minutes; found neither"),
        ({"budget": {"trials": 0}}, "budget.trials", "should be greater than 0; got 0"),
        ({"space": {}}, "space", "is empty; name a key of the config and its range"),
        ({"space": {"seed": 3}}, "space.seed", "should be a list of choices, or a mapping whose "
         "`type` is one of float, int, categorical; got 3"),
        ({"space": {"seed": {"type": "int", "low": 0.5, "high": 2}}}, "space.seed.low",
         "should be a valid integer; got 0.5"),
        ({"space": {"seed": {"type": "int", "low": 3, "high": 2}}}, "space.seed", "`low <= high`"),
        ({"space": {"seed": [1, True]}}, "space.seed", "choices should differ from each other"),
        ({"space": {"seed": {"type": "int", "low": 1, "high": 2, "when": {"dtype": "x"}}}},
         "space.seed.when", "keys of the space that stand before seed; got 'dtype'"),
        ({"space": {"sampler.size": [1, 2]}}, "space.sampler.size", "unknown key"),
        ({"space": {"optimizer.lr": [0.1, -1.0, "x"]}}, "space.optimizer.lr", "with 'x'"),
        ({"space": {"sampler.type": ["walk", "wlk"]}}, "space.sampler.type",
         "no sampler 'wlk'. Did you mean 'walk'?"),
        ({"space": {"monitors.3.every": ["end"]}}, "space.monitors.3.every", "has no entry '3'"),
        ({"sampler": "TPSampler"}, "sampler.type", "Did you mean 'TPESampler'"),
        ({"sampler": {"seed": 1}}, "sampler", "should have a `type`"),
        ({"sampler": {"type": "RandomSampler", "sed": 1}}, "sampler.sed", "Did you mean 'seed'?"),
        ({"pruner": "MedianPrunr"}, "pruner.type", "There are: HyperbandPruner, MedianPruner, "),
        ({"pruner": {"type": "PercentilePruner", "percentile": 200}}, "pruner",
         "PercentilePruner: Percentile must be between 0 and 100"),
        ({"pruner": "MedianPruner", "seeds": 3}, "pruner", "can't judge trials of several seeds"),
        ({"seeds": 0}, "seeds", "should be greater than 0; got 0"),
        ({"objective": {"metric": "train/lrr"}}, "objective.metric",
         "the run records no metric 'train/lrr'. Did you mean 'train/lr'?"),
        ({"base": "none.yaml"}, "", "no such config file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(write, changes, path, message):
    file = write(**changes)
    found = problems(file)
    assert path in found
    assert message in found[path]
    assert found[path].startswith(str(file))


def test_the_ends_that_do_not_fit_are_told_at_their_lines(write):
    space = {"train.batch_size": {"type": "int", "low": 0, "high": 10}, "chains.size": [0, 40]}
    file = write(space=space)
    found = problems(file)
    assert found["space.train.batch_size"] == (
        f"{line_of(file, 'train.batch_size')}: should be greater than 0; got 0 (with 0)"
    )
    assert "should be greater than 0; got 0" in found["space.chains.size"]


def test_parts_that_do_not_fit_are_refused_before_any_start(write, config, tmp_path):
    file = write(space={"train.batch_size": [1000, 2000]})
    assert "should be at most the 180 training points" in problems(file)["space.train.batch_size"]
    assert not list(tmp_path.glob("runs*"))


def call(*arguments):
    done = CliRunner().invoke(app, ["sweep", *arguments])
    return done.exit_code, done.output


def test_the_command_checks_alone_when_asked(write, tmp_path):
    file = str(write())
    code, output = call(file, "--dry-run")
    assert (code, output.split(";")[0]) == (0, "the sweep is good")
    code, output = call()
    assert code == 2
    assert "give either a sweep's file or --join URL" in output
    code, output = call("--join", "sqlite:///none.db")
    assert code == 2
    assert "there is no such file, so there is no sweep to join" in output
    assert not (tmp_path / "none.db").exists()
    code, output = call(file, "--launcher", "crane", "--dry-run")
    assert code == 2
    assert "launcher.type: no launcher 'crane'." in output


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite:////nowhere/at/all/s.db", "can't be opened: FileNotFoundError"),
        ("journal:////nowhere/at/all/s.log", "can't be opened: FileNotFoundError"),
        ("sqlite:///HERE/odd.db", "can't be read: DatabaseError: file is not a database"),
        ("journal:///HERE", "is no plain file"),
        ("redis://127.0.0.1/0", "Optuna keeps pickles in redis"),
        ("postgresql+absent://me:hunter2@127.0.0.1/s", "can't be opened: NoSuchModuleError"),
        ("sqlserver", "is no url"),
    ],
)
def test_a_dry_run_tries_the_storage(write, tmp_path, storage, message):
    (tmp_path / "odd.db").write_bytes(b"none of sqlite's" * 200)
    file = write(storage=storage.replace("HERE", str(tmp_path)))
    before = sorted(tmp_path.rglob("*"))
    code, output = call(str(file), "--dry-run")
    assert code == 2
    assert message in output
    assert "hunter2" not in output
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("storage", [None, "sqlite:///HERE/new.db", "journal:///HERE/new.log"])
def test_a_dry_run_that_succeeds_writes_nothing(write, tmp_path, storage):
    file = write(**({} if storage is None else {"storage": storage.replace("HERE", str(tmp_path))}))
    before = sorted(tmp_path.rglob("*"))
    code, output = call(str(file), "--dry-run", "--runs-dir", "not/yet/there")
    assert code == 0, output
    assert "its storage" in output
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_without_optuna_one_message_says_what_to_install(write, forks, tmp_path):
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "optuna.py").write_text("raise ImportError('No module named optuna')")
    code = "import sys; sys.path.insert(0, 'absent'); import ebmcore.cli.main as m; m.main()"
    done = forks.run("-c", code, "sweep", str(write()), cwd=tmp_path, env=dict(os.environ))
    assert done.returncode == 2
    assert "a sweep needs Optuna" in done.stderr
    assert "pip install ebmcore-sweep" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_is_a_command():
    assert {"seeds", "sweep"} <= {c.name for c in Host.discover().components("command")}
    assert isinstance(read_sweep({**GOOD, "base": {}}).space, Space)
