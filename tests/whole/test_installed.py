"""The platform as users have it: wheels in a clean environment, tried from another folder."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from support import MORE, ROOT, environments

pytestmark = [pytest.mark.slow, pytest.mark.plugins]

OURS = [ROOT, *sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))]
EXAMPLE = ROOT / "examples" / "ebmcore-example-plugin"
ROOMS = ["data", "monitoring", "plugins", "sampling"]  # of the core's tests, where it meets plugins
if MORE:
    ROOMS += ["cli", "config", "runner", "train"]


LISTENER = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "listener"
version = "2.0"
[project.entry-points."ebmcore.v1"]
listener = "listener"
[tool.hatch.build.targets.wheel]
include = ["listener.py"]
""",
    "listener.py": """
from pathlib import Path
from ebmcore import hookimpl

def tell(what):
    with Path("heard.txt").open("a") as file:
        file.write(what + "\\n")

@hookimpl
def ebmcore_configure(config):
    tell("configure " + config["name"])

@hookimpl
def ebmcore_run_start(run):
    tell("start " + run.status)

@hookimpl
def ebmcore_checkpoint(run, path):
    tell("checkpoint " + path.name)

@hookimpl
def ebmcore_run_end(run, status):
    tell("end " + status)
    raise RuntimeError("a listener that falls over")
""",
}

SHORT = """
name: short
data: {type: gaussian_mixture, n: 400}
energy: {type: mlp, hidden: [16], activation: silu}
sampler: {type: langevin, n_steps: 2}
chains: {type: persistent, size: 100}
loss:
  - {type: contrastive_divergence}
  - {type: denoising_score_matching, sigma: 0.1, weight: 0.1}
  - {type: energy_magnitude, weight: 0.1}
  - {type: l2_parameters, weight: 1e-3}
optimizer: {type: Adam, lr: 1e-3}
train: {steps: 6, batch_size: 50, ema: 0.5}
monitors:
  - {type: energies, every: 3 steps}
  - {type: landscape, every: end}
  - {type: panels, every: end}
  - {type: histogram_2d, every: end, n: 200}
  - {type: samples, every: end}
  - {type: exact_likelihood, every: end, points: 101}
tracking: off
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A wheel of every distribution, the example's and a listener's too."""
    listener = tmp_path_factory.mktemp("listener")
    for name, text in LISTENER.items():
        (listener / name).write_text(text)
    into = tmp_path_factory.mktemp("wheels")
    found = environments.build_wheels([*OURS, EXAMPLE, listener], into)
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in found}


@pytest.fixture(scope="module")
def everything(wheels, tmp_path_factory):
    """An environment with all wheels but the listener's."""
    with environments.Environment(tmp_path_factory.mktemp("everything") / "venv") as environment:
        environment.install(*(wheel for name, wheel in wheels.items() if name != "listener"))
        yield environment


@pytest.fixture(scope="module")
def bare(wheels, tmp_path_factory):
    """An environment with the core alone."""
    with environments.Environment(tmp_path_factory.mktemp("bare") / "venv") as environment:
        environment.install(wheels["ebmcore"])
        yield environment


def test_every_wheel_of_ours_tells_that_it_is_typed(wheels):
    for folder in OURS:
        with zipfile.ZipFile(wheels[folder.name if folder != ROOT else "ebmcore"]) as wheel:
            assert any(name.endswith("/py.typed") for name in wheel.namelist()), wheel.filename
            licence = ".dist-info/licenses/LICENSE"
            assert any(name.endswith(licence) for name in wheel.namelist()), wheel.filename
    with zipfile.ZipFile(wheels["ebmcore-new"]) as wheel:
        names = {name.partition("ebmcore_new/examples/")[2] for name in wheel.namelist()} - {""}
    assert {"digits.yaml", "tables/houses.yaml", "tables/houses.csv"} < names
    assert not [name for name in names if "example-plugin" in name]


def test_every_distribution_is_found_and_loads(everything, tmp_path):
    found = environments.document(everything.ebmcore("plugins", "list", "--json", cwd=tmp_path))
    assert {p["distribution"] for p in found} == {
        *(folder.name for folder in OURS[1:]),
        "ebmcore-example-plugin",
    }
    assert {p["status"] for p in found} == {"ok"}


def test_every_contract_runs_through_an_installed_plugin(everything, tmp_path):
    (tmp_path / "short.yaml").write_text(SHORT)
    run = environments.document(everything.ebmcore("run", "short.yaml", "--json", cwd=tmp_path))
    assert run["status"] == "FINISHED"
    # a grid that is too small for six steps, and a monitor that is slow on a busy machine
    expected = re.compile("exact_likelihood|a longer `every` makes the run quicker")
    assert [text for text in run["warnings"] if not expected.search(text)] == []
    pictures = {p.parent.name for p in Path(tmp_path, run["run_dir"]).glob("figures/*/*.png")}
    assert pictures == {"landscape", "panels", "histogram_2d", "samples"}
    code = (
        "import json, sys, ebmcore\n"
        "from ebmcore.runner.api import prepare\n"
        "config = prepare('short.yaml').config\n"
        "print(json.dumps([[n.kind, sys.modules[n.target.__module__].__file__,"
        " n.component.plugin.distribution] for n in config.nodes]))\n"
    )
    used = environments.document(everything.run("-c", code, cwd=tmp_path, warm=True))
    assert {kind for kind, _, _ in used} == {
        "energy",
        "sampler",
        "chains",
        "loss",
        "monitor",
        "dataset",
    }
    for _, file, distribution in used:
        assert Path(file).is_relative_to(everything.site)
        assert distribution.startswith("ebmcore-")


def test_a_model_opens_where_only_its_plugins_are(everything, bare, wheels, tmp_path, empty_store):
    (tmp_path / "short.yaml").write_text(SHORT)
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    arguments = ("short.yaml", "tracking={}", "monitors=[]", "--json")
    run = environments.document(everything.ebmcore("run", *arguments, cwd=tmp_path, warm=True))
    x = [[0.5, -1.0], [3.0, 2.0]]
    energies = (
        "import json, numpy, ebmcore\n"
        f"run = ebmcore.load({run['run_dir']!r})\n"
        f"found = run.score(numpy.array({x}, 'float32'), percentile=False)\n"
        "print(json.dumps(found.energy.tolist()))\n"
    )
    expected = environments.document(everything.run("-c", energies, cwd=tmp_path, warm=True))
    opens = (
        "import json, numpy, mlflow\n"
        "mlflow.set_tracking_uri('sqlite:///mlflow.db')\n"
        f"model = mlflow.pyfunc.load_model('runs:/{run['mlflow_run_id']}/model')\n"
        f"print(json.dumps(model.predict(numpy.array({x}, 'float32')).tolist()))\n"
    )
    without = bare.run("-c", opens, cwd=tmp_path, warm=True)
    needed = ["ebmcore-nets", "ebmcore-langevin", "ebmcore-chains"]
    assert f"not installed here: pip install {' '.join(needed)}" in without.stderr
    bare.install(*(wheels[name] for name in needed))
    try:
        found = environments.document(bare.run("-c", opens, cwd=tmp_path, warm=True))
    finally:
        bare.pip("uninstall", "--quiet", "--yes", *needed)
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_strangers_energy_and_monitor(everything, tmp_path):
    run = environments.document(
        everything.ebmcore(
            "run", EXAMPLE / "example.yaml", "tracking=off", "--json", cwd=tmp_path, warm=True
        )
    )
    assert run["metrics"]["precision/mean_error"] < 0.05
    facts = json.loads(Path(tmp_path, run["run_dir"], "run.json").read_text())
    versions = {p["distribution"]: p["version"] for p in facts["plugins"]}
    assert versions["ebmcore-example-plugin"] == "0.1.0"


def test_life_cycle_hooks_of_an_installed_plugin(everything, wheels, tmp_path):
    (tmp_path / "short.yaml").write_text(SHORT)
    everything.install(wheels["listener"])
    try:
        done = everything.ebmcore(
            "run", "short.yaml", "monitors=[]", "--json", cwd=tmp_path, warm=True
        )
    finally:
        everything.pip("uninstall", "--quiet", "--yes", "listener")
    run = environments.document(done)
    assert (tmp_path / "heard.txt").read_text().splitlines() == [
        "configure short",
        "start RUNNING",
        "checkpoint step-00000006",
        "end FINISHED",
    ]
    assert run["status"] == "FINISHED"
    (warning,) = run["warnings"]
    assert warning.startswith("plugin 'listener' raised in ebmcore_run_end: RuntimeError")


def test_a_missing_plugin_is_named_with_its_install_command(everything, wheels, tmp_path):
    config = ROOT / "examples" / "five_gaussians.yaml"
    line = next(
        number
        for number, text in enumerate(config.read_text().splitlines(), 1)
        if text.startswith("sampler:")
    )
    everything.pip("uninstall", "--quiet", "--yes", "ebmcore-langevin")
    try:
        done = everything.ebmcore(
            "run", config, "train.epochs=1", "--json", cwd=tmp_path, warm=True
        )
    finally:
        everything.install(wheels["ebmcore-langevin"])
    assert done.returncode == 2
    (message,) = done.stderr.splitlines()
    assert message.startswith(f"{config}:{line} sampler.type: no sampler 'mala'.")
    assert message.endswith("Install it with: pip install ebmcore-langevin")
    assert not list(tmp_path.iterdir())
    mended = everything.ebmcore("run", config, "--dry-run", cwd=tmp_path, warm=True)
    assert mended.returncode == 0


def test_the_cores_tests_pass_with_no_plugin_installed(bare, tmp_path):
    where = bare.run("-c", "import ebmcore; print(ebmcore.__file__)", cwd=tmp_path).stdout
    assert Path(where.strip()).is_relative_to(bare.site)
    done = bare.run(
        "-m", "pytest", *(ROOT / "tests" / room for room in ROOMS), "-q", "-rs",
        "-m", "not plugins and not slow", "--one-case", "-p", "no:cacheprovider", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    # a check of the kit that has nothing to say of a part is skipped; nothing else may be
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert all("_pytest/unittest.py" in line for line in skipped), skipped


def test_five_lines_of_python_without_runner_config_or_mlflow(everything, tmp_path):
    code = """
import sys, ebmcore
from ebmcore_langevin import Langevin
energy = lambda x: (x ** 2).sum(-1) / 2
x = ebmcore.sample_chain(Langevin(0.1), energy, event_shape=(2,), n_chains=500, n_steps=100)
print(tuple(x.shape), not {"mlflow", "pydantic.main", "ebmcore.runner"} & set(sys.modules))
"""
    done = everything.run("-c", code, cwd=tmp_path)
    assert done.stdout.strip() == "(500, 2) True", done.stderr
