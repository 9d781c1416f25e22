"""`ebmcore plugins new`: the names that it refuses, and the files that it writes."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-x-", "--kind", "loss"], "'-x-' is no name for a distribution"),
        (["a b", "--kind", "loss"], "'a b' is no name for a distribution"),
        (["énergie", "--kind", "energy"], "should be ASCII letters, digits"),
        (["../up", "--kind", "energy"], "'../up' is no name for a distribution"),
        (["mine", "--kind", "energies"], "no kind 'energies'. Did you mean 'energy'? There are: "),
        (
            ["mine", "--kind", "zzz"],
            "no kind 'zzz'. There are: energy, network, sampler",
        ),
        (["there", "--kind", "loss"], "'there' exists already"),
        (
            ["mine", "--kind", "loss", "--into", "no"],
            "there is no folder 'no' to write 'mine' into",
        ),
        (["json", "--kind", "loss"], "imported as 'json', and a module of that name is installed"),
        (["ebmcore", "--kind", "loss"], "imported as 'ebmcore', and a module of that name"),
    ],
)
def test_what_is_refused(arguments, message, command, tmp_path):
    (tmp_path / "there").mkdir()
    done = command("plugins", "new", *arguments[1:], "--json", "--", arguments[0])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert message in line
    assert json.loads(done.stdout)["error"] == line
    assert [p.name for p in tmp_path.rglob("*")] == ["there"]


@pytest.mark.plugins
def test_an_installed_plugins_name_is_refused(command, tmp_path):
    done = command("plugins", "new", "langevin", "--kind", "sampler")
    assert done.exit_code == 2
    assert re.match(r"ebmcore-langevin \S+ has a plugin named 'langevin' already", done.stderr)
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    from ebmcore_testing.commands import new

    from ebmcore import EbmError

    texts = {"a.txt": "a", "a.txt/b.txt": "a file can't be a folder"}
    with pytest.raises(EbmError, match="can't write"):
        new.write(texts, tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_the_document_and_the_next_commands(command, tmp_path):
    (tmp_path / "a folder").mkdir()
    done = command("plugins", "new", "mine", "--kind", "loss", "--into", "a folder")
    assert done.exit_code == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines()[-3:]] == [
        "pip install -e 'a folder/mine'",
        "pytest 'a folder/mine'",
        "ebmcore check mine",
    ]
    done = command("plugins", "new", "ebmcore-class", "--kind", "energy", "--json")
    found = json.loads(done.stdout)
    assert found["folder"] == "ebmcore-class"
    there = [p for p in Path("ebmcore-class").rglob("*") if p.is_file()]
    assert found["files"] == sorted(str(p.relative_to("ebmcore-class")) for p in there)
    assert "$" not in "".join(p.read_text() for p in there)
    project = tomllib.loads(Path("ebmcore-class/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["ebmcore.v1"] == {"class": "ebmcore_class.plugin"}
    own = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert all(project[key] == own[key] for key in ("license", "license-files", "classifiers"))
    assert "the authors of ebmcore-class" in Path("ebmcore-class/LICENSE").read_text()


@pytest.mark.parametrize(
    ("name", "package", "plugin"),
    [
        ("My.Energies__2", "my_energies_2", "my-energies-2"),
        ("ebmcore-mine", "ebmcore_mine", "mine"),
        ("3d-shells", "ebm_3d_shells", "3d-shells"),
        ("lambda", "ebm_lambda", "lambda"),
    ],
)
def test_names(name, package, plugin):
    from ebmcore_testing.commands.new import name_all

    assert name_all(name, "loss") == (name, package, plugin, "loss")


def test_its_tracker_is_checked_in_a_folder_of_its_own(command, tmp_path):
    from ebmcore_testing.commands.new import name_all, render
    from ebmcore_testing.report import SUITES

    text = render(name_all("mine", "tracker"))["mine/table.py"]
    text += "\n\nimport ebmcore\n\nebmcore.tracker(name='table')(Table)\n"
    (tmp_path / "mine.py").write_text(text)
    done = command("check", "tracker:table", "-p", "mine.py", "--json")
    assert json.loads(done.stdout)["counts"] == {"passed": len(SUITES["tracker"].checks())}
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["mine.py"]


def test_it_imports_nothing_heavy():
    code = (
        "import sys\nfrom ebmcore.cli.main import app\n"
        "try:\n    app(['plugins', 'new', 'mine', '--kind', 'loss'])\n"
        "except SystemExit:\n    pass\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "mlflow", "matplotlib", "yaml", "numpy", "ebmcore.config"}
    assert not heavy & set(done.stdout.splitlines()[-1].split())
