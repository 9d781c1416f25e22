"""Completion in shells: offers at TAB, from the catalogue, without typer or torch."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ebmcore.cli.main import app
from ebmcore.cli.shell import catalogue
from ebmcore.completion import answer, cache, completers
from ebmcore.runs import directory, layout

CONFIG = """
data: {type: gaussian_mixture, transform: [{type: standardise}]}
energy: {type: sum, terms: [{type: mlp, hidden: [8]}, {type: gaussian}]}
sampler: {type: langevin, step_size: 0.25}
chains: persistent
loss: [{type: contrastive_divergence}, {type: energy_magnitude, weight: 0.01, name: damp}]
train: {steps: 5}
monitors: [{type: energies, every: 5 epochs}]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The user's cache, with the catalogue of this installation."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        catalogue.write()
    return folder


@pytest.fixture
def offered(made, monkeypatch, tmp_path, capsys):
    """Complete the last of some words, as a shell would have it: as typer does, but sooner."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(made))
    (tmp_path / "c.yaml").write_text(CONFIG)

    def call(*words, shell="bash"):
        every = ["ebmcore", *words]
        env = {"_EBMCORE_COMPLETE": f"complete_{shell}"}
        if shell == "bash":
            env |= {"COMP_WORDS": "\n".join(every), "COMP_CWORD": str(len(words))}
        else:
            env |= {"_TYPER_COMPLETE_ARGS": " ".join(every)}
        env |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            assert answer.answered()
        found = capsys.readouterr().out
        done = CliRunner().invoke(app, [], prog_name="ebmcore", env=env)
        assert done.exit_code == 0, done
        assert done.stdout.split() == found.split()
        return found.split()

    return call


@pytest.mark.plugins
def test_commands_kinds_and_parts(offered):
    assert offered("sc") == ["score", "schema"]
    assert {"run", "resume", "seeds", "sweep", "check"} <= {*offered("")}
    assert offered("runs", "s") == ["show", "sync"]
    assert "compare" in offered("runs", "")
    assert offered("show", "ne") == ["network"]
    assert offered("show", "sampler", "ma") == ["mala"]
    assert offered("show", "nothing", "ma") == []
    assert "slurm" in offered("run", "c.yaml", "--launcher", "")
    assert offered("sample", "last", "--checkpoint", "b") == ["best"]
    assert "--dry-run" in offered("run", "c.yaml", "--d")
    assert "--workers" in offered("seeds", "c.yaml", "--w")  # a plugin's command, imported


@pytest.mark.plugins
def test_keys_are_those_of_the_config_s_parts(offered):
    def keys(word):
        return offered("run", "c.yaml", word)

    assert keys("sampler.st") == ["sampler.step_size=", "sampler.step_size=0.25"]
    assert keys("train.ep") == ["train.epochs=", "train.epochs=null"]
    assert keys("samp") == ["sampler=", "sampler."]
    assert keys("optimizer.wei")[0] == "optimizer.weight_decay="  # of Adam, which nobody named
    assert keys("loss.damp.we") == ["loss.damp.weight=", "loss.damp.weight=0.01"]
    assert "loss.weight=" in keys("loss.")  # of the first one
    assert "loss.damp." in keys("loss.")
    assert keys("monitors.energies.ev") == ["monitors.energies.every="]
    assert keys("energy.terms.mlp.hi") == ["energy.terms.mlp.hidden="]
    assert "data.transform." in keys("data.tr")
    assert "data.n=" in keys("data.")
    assert keys("nothing.of.this") == []
    assert offered("run", "missing.yaml", "train.st")[0] == "train.steps="


@pytest.mark.plugins
def test_parts_follow_the_equals_sign(offered):
    assert '"sampler=hmc":"' in " ".join(offered("run", "c.yaml", "sampler=hm", shell="zsh"))
    assert offered("run", "c.yaml", "sampler.type=hm", shell="fish")[0] == "sampler.type=hmc"
    assert offered("run", "c.yaml", "sampler.type", "=", "hm") == ["hmc"]  # bash breaks words at =
    assert offered("run", "c.yaml", "chains", "=", "per") == ["persistent"]
    assert offered("run", "c.yaml", "data.transform.0.type", "=", "whi") == ["whiten"]


@pytest.mark.plugins
def test_run_directories_and_last(offered, tmp_path):
    for name in ("one-1", "two-2", "bad $(name)", "no-run"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        if name != "no-run":
            (tmp_path / "runs" / name / "run.json").write_text("{}")
    assert offered("resume", "") == ["last", "runs/one-1", "runs/two-2"]
    assert offered("runs", "diff", "last", "runs/t") == ["runs/two-2"]
    (tmp_path / "runs/one-1/config.yaml").write_text(CONFIG)
    assert offered("evaluate", "runs/one-1", "sampler.st")[0] == "sampler.step_size="
    assert completers.RUNS_DIR_VARIABLE == directory.RUNS_DIR_VARIABLE
    assert (completers.RUN_JSON, completers.CONFIG) == (layout.RUN_JSON, layout.CONFIG)


def test_an_old_catalogue_answers_and_is_written_anew(made, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    begun = []
    monkeypatch.setattr(cache, "_begin", lambda: begun.append(1))
    assert (cache.read(), begun) == ({"fresh": False}, [1])
    cache.write({"installed": -1, "files": {}, "parts": {"sampler": {"old": {}}}})
    assert cache.read()["parts"] == {"sampler": {"old": {}}}
    assert begun == [1, 1]
    source = tmp_path / "part.py"
    source.write_text("one")
    cache.write({"installed": cache.installed(), "files": cache.times({str(source)})})
    assert (cache.read()["format"], begun) == (cache.FORMAT, [1, 1])
    os.utime(source, (1, 1))
    cache.read()
    assert begun == [1, 1, 1]
    cache.place().write_text("no JSON")
    assert cache.read() == {"fresh": False}


def test_typer_answers_where_no_catalogue_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    env = {"_EBMCORE_COMPLETE": "complete_bash", "COMP_WORDS": "ebmcore\nsc", "COMP_CWORD": "1"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert not answer.answered()
    done = CliRunner().invoke(app, [], prog_name="ebmcore")
    assert (done.exit_code, done.stdout.split()) == (0, ["score", "schema"])


def test_a_completion_imports_nothing_heavy(made):
    code = (
        "import sys; sys.argv = ['ebmcore']\nfrom ebmcore.__main__ import main\nmain()\n"
        "heavy = ('typer', 'yaml', 'torch', 'numpy', 'mlflow', 'rich', 'pydantic', 'pluggy')\n"
        "print([name for name in heavy if sys.modules.get(name)], file=sys.stderr)"
    )
    env = {"_EBMCORE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "ebmcore show sampler "}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, **env, "XDG_CACHE_HOME": str(made)},
    )  # fmt: skip
    assert done.stderr == "[]\n"
    assert json.loads(cache_text(made))["parts"]["sampler"].keys() <= {*done.stdout.split('"')}


def cache_text(folder):
    (file,) = folder.glob("ebmcore/completion-*.json")
    return file.read_text()
