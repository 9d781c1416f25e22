"""Plugins in every form in which they lie on a machine, and what is told of the broken ones."""

import json
import sys
import zipfile
from pathlib import Path

import pytest

from support import ROOT, environments

pytestmark = pytest.mark.slow

KIT = ROOT / "plugins" / "ebmcore-testing"  # which offers `plugins doctor`


PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "{version}"
[project.entry-points."ebmcore.v1"]
{name} = "{module}"
[tool.hatch.build.targets.wheel]
only-include = ["{only}"]
"""
OFFER = """
from ebmcore import hookimpl

@hookimpl
def ebmcore_losses():
    return {{"{name}_loss": "{parts}:gap"}}
"""
PART = """
def gap(energy, x, *, beta: float = 1.0):
    return beta * energy(x).mean()
"""


def project(folder, name, files, *, module, only, version="1.0"):
    """Write a distribution's source."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        PYPROJECT.format(name=name, module=module, only=only, version=version)
    )
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Distributions, each of another form or broken in another way."""
    root = tmp_path_factory.mktemp("sources")
    plain = {"plain.py": OFFER.format(name="plain", parts="plain") + PART}
    spaced = {
        "space/inner/plugin.py": OFFER.format(name="spaced", parts="space.inner.parts"),
        "space/inner/parts.py": PART,
    }
    editable = {"edited.py": OFFER.format(name="edited", parts="edited") + PART}
    heavy = {"heavy.py": "import torch\n" + OFFER.format(name="heavy", parts="heavy") + PART}
    hollow = {"hollow.py": OFFER.format(name="hollow", parts="hollow")}
    hangs = {"hangs.py": "import time; time.sleep(60)"}
    dies = {"dies.py": "import os; os._exit(7)"}
    return {
        "plain": project(root / "plain", "plain", plain, module="plain", only="plain.py"),
        "spaced": project(
            root / "spaced", "spaced", spaced, module="space.inner.plugin", only="space"
        ),
        "edited": project(root / "edited", "edited", editable, module="edited", only="edited.py"),
        "heavy": project(root / "heavy", "heavy", heavy, module="heavy", only="heavy.py"),
        "hollow": project(root / "hollow", "hollow", hollow, module="hollow", only="hollow.py"),
        "hangs": project(root / "hangs", "hangs", hangs, module="hangs", only="hangs.py"),
        "dies": project(root / "dies", "dies", dies, module="dies", only="dies.py"),
        "newer": project(
            root / "newer", "plain", plain, module="plain", only="plain.py", version="2.0"
        ),
    }


@pytest.fixture(scope="module")
def wheels(sources, tmp_path_factory):
    """Their wheels, the core's and the kit's."""
    into = tmp_path_factory.mktemp("wheels")
    older = [folder for name, folder in sources.items() if name != "newer"]
    environments.build_wheels([ROOT, KIT, *older], into)
    built = environments.build_wheels([sources["newer"]], into)
    return {"-".join(wheel.name.split("-")[:2]): wheel for wheel in built}


@pytest.fixture
def environment(wheels, tmp_path_factory):
    """An environment with the core alone."""
    with environments.Environment(tmp_path_factory.mktemp("environment") / "venv") as made:
        made.install(wheels["ebmcore-0.1.0"])
        yield made


def listed(environment, tmp_path):
    found = environments.document(environment.ebmcore("plugins", "list", "--json", cwd=tmp_path))
    return {plugin["name"]: plugin for plugin in found}


def loads(environment, tmp_path, name):
    """Whether a part can be shown, which imports it."""
    done = environment.ebmcore("show", "loss", f"{name}_loss", "--json", cwd=tmp_path)
    return environments.document(done)["keys"][0]["name"] == "beta"


def test_a_wheel_a_namespace_package_and_an_editable_install(
    environment, wheels, sources, tmp_path
):
    environment.install(wheels["plain-1.0"], wheels["spaced-1.0"])
    environment.pip(
        "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
        "--editable", sources["edited"],
    )  # fmt: skip
    found = listed(environment, tmp_path)
    assert {name: p["status"] for name, p in found.items()} == dict.fromkeys(
        ("plain", "spaced", "edited"), "ok"
    )
    for name in found:
        assert loads(environment, tmp_path, name)


def test_a_wheel_that_is_imported_as_a_zip(environment, wheels, tmp_path):
    wheel = wheels["plain-1.0"]
    assert zipfile.is_zipfile(wheel)
    (environment.site / "zipped.pth").write_text(f"{wheel}\n")
    assert listed(environment, tmp_path)["plain"]["status"] == "ok"
    assert loads(environment, tmp_path, "plain")


def test_doctor_tells_what_list_cannot(environment, wheels, tmp_path):
    names = ("plain-1.0", "heavy-1.0", "hollow-1.0", "dies-1.0", "ebmcore_testing-0.1.0")
    environment.install(*(wheels[name] for name in names))
    second = tmp_path / "second"
    with zipfile.ZipFile(wheels["plain-2.0"]) as wheel:
        wheel.extractall(second)
    (environment.site / "second.pth").write_text(f"{second}\n")
    done = environment.ebmcore("plugins", "doctor", "--json", cwd=tmp_path)
    assert done.returncode == 1
    found = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}
    assert "is installed 2 times on the path" in found["plain"]["problems"][0]
    (heavy,) = found["heavy"]["problems"]
    assert heavy.startswith("imports torch when it registers, ")
    assert found["heavy"]["registration_ms"] > 100
    (hollow,) = found["hollow"]["problems"]
    assert "'hollow:gap', which can't be loaded: AttributeError" in hollow
    assert found["hollow"]["status"] == "ok"
    assert found["dies"]["problems"] == ["ended the process that imported it (exit code 7)"]


def test_doctor_does_not_wait_for_ever(environment, wheels, tmp_path):
    environment.install(wheels["hangs-1.0"], wheels["ebmcore_testing-0.1.0"])
    done = environment.ebmcore("plugins", "doctor", "--timeout", 3, "--json", cwd=tmp_path)
    assert done.returncode == 1
    hangs, kit = json.loads(done.stdout)
    assert kit["name"] == "testing"
    assert hangs["problems"] == ["was still importing after 3 s"]


def test_strict_plugins(tmp_path, config, ebmcore_command):
    (tmp_path / "c.json").write_text(json.dumps(config))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.py").write_text("import nowhere_at_all")
    info = tmp_path / "bad" / "bad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ebmcore.v1]\nbad = bad\n")
    lax = ebmcore_command("run", "c.json", "--dry-run", path=[tmp_path / "bad"])
    assert lax.returncode == 0, lax.stderr
    for command in (["run", "c.json", "--dry-run"], ["plugins", "list"]):
        strict = ebmcore_command(*command, "--strict-plugins", path=[tmp_path / "bad"])
        assert strict.returncode == 2
        assert "plugin 'bad' (bad 1.0) is import_error" in strict.stderr
        without = ebmcore_command(
            *command, "--strict-plugins", "-p", "no:bad", path=[tmp_path / "bad"]
        )
        assert without.returncode == 0, without.stderr


def test_a_repeated_run_tells_of_other_versions(environment, wheels, tmp_path, config):
    environment.install(wheels["plain-1.0"])
    config["loss"], config["monitors"] = "plain_loss", []
    (tmp_path / "c.json").write_text(json.dumps(config))
    first = environments.document(
        environment.ebmcore("run", "c.json", "--json", cwd=tmp_path, warm=True)
    )
    again = Path(first["run_dir"]) / "config.yaml"
    same = environments.document(
        environment.ebmcore("run", again, "--json", cwd=tmp_path, warm=True)
    )
    assert same["warnings"] == []
    environment.pip("install", "--quiet", "--no-deps", "--no-index", "--upgrade",
                    wheels["plain-2.0"])  # fmt: skip
    warned = environments.document(
        environment.ebmcore("run", again, "--json", cwd=tmp_path, warm=True)
    )
    assert warned["warnings"] == ["plugin plain was 1.0 when this run was made, and is 2.0"]
    refused = environment.ebmcore("run", again, "--versions", "refuse", cwd=tmp_path, warm=True)
    assert refused.returncode == 2
    assert "plugin plain was 1.0 when this run was made, and is 2.0" in refused.stderr
    quiet = environment.ebmcore(
        "run", again, "--versions", "ignore", "--json", cwd=tmp_path, warm=True
    )
    assert environments.document(quiet)["warnings"] == []
    diff = environments.document(
        environment.ebmcore("runs", "diff", first["run_dir"], warned["run_dir"], "--json",
                            cwd=tmp_path, warm=True)
    )  # fmt: skip
    assert set(diff["versions"]) == {"plain"}
    assert "seed" not in diff["config"]


def test_runs_diff(config, ebmcore_command):
    import ebmcore

    one, two = (ebmcore.run(config, {"seed": seed}, progress=False) for seed in (1, 2))
    found = json.loads(ebmcore_command("runs", "diff", one.dir, two.dir, "--json").stdout)
    assert found["config"] == {"seed": {"a": "1", "b": "2"}}
    assert found["versions"] == {}
    assert found["metrics"]["loss"] == {"a": one.metrics["loss"], "b": two.metrics["loss"]}
    wrong = ebmcore_command("runs", "diff", one.dir, "nowhere")
    assert wrong.returncode == 2
    assert "nowhere: no run directory" in wrong.stderr


LOCAL_DATASET = """
import torch
from ebmcore import dataset

@dataset
class Squares(torch.utils.data.Dataset):
    def __init__(self, *, n: int = 8):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return torch.tensor([float(i) ** 2])
"""
LOADER = """
import sys, torch
from ebmcore import Host
from ebmcore.plugins import Selection

if __name__ == "__main__":
    host = Host.discover(Selection(files=("squares.py",)))
    data = host.find("dataset", "Squares").load()(n=4)
    loader = torch.utils.data.DataLoader(data, num_workers=1, multiprocessing_context="spawn")
    print([batch.item() for batch in loader])
"""


def test_a_local_files_part_in_a_spawned_worker(tmp_path, monkeypatch):
    import subprocess

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "squares.py").write_text(LOCAL_DATASET)
    (tmp_path / "loader.py").write_text(LOADER)
    done = subprocess.run(
        [sys.executable, "loader.py"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "[0.0, 1.0, 4.0, 9.0]", done.stderr
