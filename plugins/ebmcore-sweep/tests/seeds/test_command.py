"""`ebmcore seeds`, and the commands of the core that hand over to it."""

import json

import pytest
from typer.testing import CliRunner

from ebmcore.cli.main import app


@pytest.fixture
def call(config, tmp_path):
    """Call the command line in this process, beside a config."""
    (tmp_path / "c.json").write_text(json.dumps(config))
    return lambda *words: CliRunner().invoke(app, words)


@pytest.mark.parametrize("words", [("seeds", "c.json", "-n"), ("run", "c.json", "--seeds")])
def test_a_dry_run_names_the_seeds_and_trains_nothing(call, tmp_path, words):
    done = call(*words, "2", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["status"], found["seeds"]) == ("FITS", [3, 4])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("seeds", "c.json"), "-n: say how many seeds, such as 5, or which, such as 3,5,8"),
        (("seeds",), "give either a CONFIG or --resume RUN_DIR"),
        (("seeds", "c.json", "--resume", "runs/x"), "give either a CONFIG or --resume RUN_DIR"),
        (("seeds", "--resume", "runs/x", "-n", "2"), "-n: --resume goes on with a group as it was"),
        (("run", "c.json", "--seeds", "2", "--profile"), "--profile: is for one run"),
        (("run", "c.json", "--workers", "2"), "--workers: is for several runs"),
        (("runs", "compare", "a", "b"), "a: no run directory"),
    ],
)
def test_wrong_words_are_refused(call, words, message):
    done = call(*words)
    assert done.exit_code == 2
    assert message in done.stderr


HANDED_OVER = [("run", "c.json", "--seeds", "2"), ("resume", "a"), ("runs", "diff", "a", "b")]


@pytest.mark.parametrize("words", HANDED_OVER)
def test_without_the_plugin_the_core_names_what_is_missing(call, monkeypatch, tmp_path, words):
    monkeypatch.setenv("EBMCORE_PLUGINS", "another")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        facts = {"group": "seeds", "versions": {}, "plugins": []}
        (tmp_path / name / "run.json").write_text(json.dumps(facts))
        (tmp_path / name / "config.yaml").write_text("name: x\n")
    done = call(*words)
    assert done.exit_code == 2
    assert "no command '" in done.stderr
    assert "Plugin 'sweep' (ebmcore-sweep 0.1.0) is not_selected" in done.stderr
