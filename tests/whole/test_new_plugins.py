"""`ebmcore plugins new`: the plugins that it writes install, pass their tests and train."""

import json
import re
from pathlib import Path

import pytest

from support import NEW_KINDS, ROOT, environments

OURS = [ROOT, *sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))]
PLUGINS = {kind: f"My.{kind}-part" for kind in NEW_KINDS}  # names that must be made fit for import

# passed checks; a plugin's own tests run the suite of its kind, so one kind with a suite will do
CHECKED = {"command": 1, "hooks": 2, "loss": 5, "tracker": 13}


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
@pytest.mark.parametrize("kind", NEW_KINDS)
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
@pytest.mark.parametrize(("kind", "least"), CHECKED.items())
def test_it_passes_the_check(everything, made, kind, least):
    done = everything.ebmcore("check", PLUGINS[kind], "--json", cwd=made, warm=True)
    found = environments.document(done)
    assert "failed" not in found["counts"]
    assert found["counts"].get("passed", 0) >= least


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize("kind", NEW_KINDS)
def test_the_config_in_its_readme_trains(everything, made, kind):
    folder = made / PLUGINS[kind]
    (text,) = re.findall(r"```yaml\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    (made / f"{kind}.yaml").write_text(text)
    off = [] if kind == "tracker" else ["tracking=off"]
    done = everything.ebmcore(
        "run", f"{kind}.yaml", "train.epochs=1", *off, "--json", cwd=made, warm=True
    )
    run = environments.document(done)
    assert run["status"] == "FINISHED"
    facts = json.loads(Path(made, run["run_dir"], "run.json").read_text())
    assert PLUGINS[kind] in {p["distribution"] for p in facts["plugins"]}
