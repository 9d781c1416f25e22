"""`ebmcore plugins new`: what it writes installs, passes its tests and trains; what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ebmcore.kinds import KINDS
from support import ROOT, environments

OURS = [ROOT, *sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))]
PLUGINS = {kind: f"My.{kind}-part" for kind in KINDS}  # names that must be made fit for import


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-x-", "--kind", "loss"], "'-x-' is no name for a distribution"),
        (["a b", "--kind", "loss"], "'a b' is no name for a distribution"),
        (["énergie", "--kind", "energy"], "should be ASCII letters, digits"),
        (["../up", "--kind", "energy"], "'../up' is no name for a distribution"),
        (["mine", "--kind", "energies"], "no kind 'energies'. Did you mean 'energy'? There are: "),
        (["mine", "--kind", "zzz"], "no kind 'zzz'. There are: energy, sampler, chains, loss"),
        (["there", "--kind", "loss"], "'there' exists already"),
        (
            ["mine", "--kind", "loss", "--into", "no"],
            "there is no folder 'no' to write 'mine' into",
        ),
        (["json", "--kind", "loss"], "imported as 'json', and a module of that name is installed"),
        (["ebmcore", "--kind", "loss"], "imported as 'ebmcore', and a module of that name"),
    ],
)
def test_what_is_refused(arguments, message, ebmcore_command, tmp_path):
    (tmp_path / "there").mkdir()
    done = ebmcore_command("plugins", "new", *arguments[1:], "--json", "--", arguments[0])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line
    assert json.loads(done.stdout)["error"] == line
    assert [p.name for p in tmp_path.rglob("*")] == ["there"]


@pytest.mark.plugins
def test_an_installed_plugins_name_is_refused(ebmcore_command, tmp_path):
    done = ebmcore_command("plugins", "new", "langevin", "--kind", "sampler")
    assert done.returncode == 2
    assert re.match(r"ebmcore-langevin \S+ has a plugin named 'langevin' already", done.stderr)
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    from ebmcore.cli import new
    from ebmcore.errors import EbmError

    texts = {"a.txt": "a", "a.txt/b.txt": "a file can't be a folder"}
    with pytest.raises(EbmError, match="can't write"):
        new.write(texts, tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_the_document_and_the_next_commands(ebmcore_command, tmp_path):
    (tmp_path / "a folder").mkdir()
    done = ebmcore_command("plugins", "new", "mine", "--kind", "loss", "--into", "a folder")
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines()[-3:]] == [
        "pip install -e 'a folder/mine'",
        "pytest 'a folder/mine'",
        "ebmcore check mine",
    ]
    done = ebmcore_command("plugins", "new", "ebmcore-class", "--kind", "energy", "--json")
    found = json.loads(done.stdout)
    assert found["folder"] == "ebmcore-class"
    there = [p for p in Path("ebmcore-class").rglob("*") if p.is_file()]
    assert found["files"] == sorted(str(p.relative_to("ebmcore-class")) for p in there)
    assert "$" not in "".join(p.read_text() for p in there)
    assert 'class = "ebmcore_class.plugin"' in Path("ebmcore-class/pyproject.toml").read_text()


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
    from ebmcore.cli.new import name_all

    assert name_all(name, "loss") == (name, package, plugin, "loss")


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


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """An environment with the core and our plugins, from wheels."""
    wheels = environments.build_wheels(OURS, tmp_path_factory.mktemp("wheels"))
    with environments.Environment(tmp_path_factory.mktemp("everything") / "venv") as environment:
        environment.install(*wheels)
        yield environment


@pytest.fixture(scope="module")
def made(everything, tmp_path_factory):
    """The folder in which the installed command wrote a plugin of each kind; all are installed."""
    folder = tmp_path_factory.mktemp("made")
    for kind, name in PLUGINS.items():
        done = everything.ebmcore("plugins", "new", name, "--kind", kind, "--json", cwd=folder)
        assert environments.document(done)["folder"] == name
    into = tmp_path_factory.mktemp("made-wheels")
    wheels = environments.build_wheels([folder / name for name in PLUGINS.values()], into)
    everything.install(*wheels)
    return folder


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_its_own_tests(everything, made, kind):
    done = everything.run(
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        PLUGINS[kind],
        cwd=made,
        warm=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_the_check(everything, made, kind):
    done = everything.ebmcore("check", PLUGINS[kind], "--json", cwd=made, warm=True)
    found = environments.document(done)
    assert "failed" not in found["counts"]
    assert found["counts"]["passed"] >= 5


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize("kind", KINDS)
def test_the_config_in_its_readme_trains(everything, made, kind):
    folder = made / PLUGINS[kind]
    (text,) = re.findall(r"```yaml\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    (made / f"{kind}.yaml").write_text(text)
    done = everything.ebmcore(
        "run", f"{kind}.yaml", "train.epochs=1", "tracking=off", "--json", cwd=made, warm=True
    )
    run = environments.document(done)
    assert run["status"] == "FINISHED"
    facts = json.loads(Path(made, run["run_dir"], "run.json").read_text())
    assert PLUGINS[kind] in {p["distribution"] for p in facts["plugins"]}
