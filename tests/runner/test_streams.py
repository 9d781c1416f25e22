"""Runs whose batches are read from where the data are stored: the bits of a run in memory."""

import multiprocessing
import os

import pytest
import torch
import yaml

import ebmcore
from ebmcore import ConfigError, Experiment, RunError
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from support import MAPS, STREAMS
from support.runs import assert_same, cut, go, resume


@pytest.fixture
def config(config):
    config["plugins"]["files"] += [str(MAPS), str(STREAMS)]
    config["data"] = {"type": "items", "transform": ["centred", {"type": "jitters", "sigma": 0.05}]}
    config["train"] = {"steps": 21, "batch_size": 20, "checkpoint_every": "5 steps", "log_every": 7}
    config["monitors"] = [{"type": "parts:looks", "every": "end"}]
    return config


@pytest.fixture(autouse=True)
def no_process_stays():
    before = multiprocessing.active_children()
    yield
    assert multiprocessing.active_children() == before


@pytest.mark.parametrize("data", [{"type": "items", "labels": True}, {"type": "rows"}], ids=str)
def test_batches_that_are_read_give_the_bits_of_memory(config, data):
    config["data"] |= data
    whole = go(config)
    read = go(config, data__loader={"workers": 0})
    assert_same(whole.dir, read.dir)
    recorded = yaml.safe_load((read.dir / "config.yaml").read_text())["data"]["loader"]
    assert recorded == {"workers": 0, "prefetch": 2, "seen": None}


def test_two_workers_read_what_the_run_itself_reads(config, tmp_path):
    (tmp_path / "readers").mkdir()
    config["data"] |= {"draws": True, "note": str(tmp_path / "readers"), "loader": {"workers": 2}}
    before = torch.get_rng_state()
    two = go(config)
    assert torch.equal(torch.get_rng_state(), before)
    readers = {file.name for file in (tmp_path / "readers").iterdir()}
    assert len(readers - {str(os.getpid())}) == 3  # one for what monitors see, two for the steps
    alone = go(config, data__loader__workers=0)
    assert_same(two.dir, alone.dir)
    again = resume(cut(two, 15), config)  # in the midst of an epoch
    assert_same(again.dir, two.dir)
    found = ebmcore.evaluate(
        two.dir, {"monitors": ["parts:looks"]}, plugins=config["plugins"]["files"]
    )
    assert found.metrics["looks/mean"] == two.metrics["looks/mean"]
    assert two.sample(5).shape == (5, 2)
    opened = ebmcore.load(two.dir, plugins=config["plugins"]["files"])
    assert torch.equal(opened.sample(5), two.sample(5))


def test_monitors_and_transforms_see_a_selection(config):
    config["data"] |= {"holdout": 0.25, "loader": {"seen": 30}}
    prepared = prepare(config)
    shown = compose(*prepared).dry_run(prepared.config.train)
    assert (shown["points"], shown["held_out"], shown["steps_per_epoch"]) == (150, 50, 7)
    run = go(config)
    assert [w for w in run.warnings if "fitted" in w] == [
        "data.transform was fitted on 30 of 150 training rows, which data.loader.seen says"
    ]
    assert run.step == 21
    config["data"]["transform"] = {"type": "jitters"}
    assert not [w for w in go(config).warnings if "fitted" in w]


@pytest.mark.parametrize(
    ("fault", "workers", "message"),
    [
        ("raises", 2, "can't give row 7 (counted from 0): OSError: the disk is gone"),
        ("nan", 0, "row 7 of the data (counted from 0) holds NaN or inf; remove or mend it"),
        ("dies", 2, "a worker process of data.loader ended without a message: it was killed"),
    ],
)
def test_a_bad_row_ends_the_run_in_one_sentence(config, monkeypatch, fault, workers, message):
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.1)
    del config["data"]["transform"]
    config["data"] |= {"fault": fault, "holdout": 0, "loader": {"workers": workers, "seen": 5}}
    config["train"] |= {"steps": None, "epochs": 1}
    with pytest.raises(RunError) as raised:
        go(config)
    text = str(raised.value)
    assert "FAILED: step " in text
    assert message in text
    assert "\n" not in text
    assert "Traceback" not in text


def test_a_run_that_diverges_leaves_no_process(config):
    config["data"]["loader"] = {"workers": 1}
    with pytest.raises(RunError, match="max_energy"):
        go(config, train__max_energy=1e-9)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"type": "parts:line"}, "gives all of them at once, as Tensor: leave out the loader"),
        ({"stratify": True}, "stratify needs the label of every row"),
        ({"loader": {"workers": -1}}, "data.loader.workers: should be greater than or equal to 0"),
        ({"loader": {"worker": 1}}, "data.loader.worker"),
    ],
    ids=str,
)
def test_data_that_no_loader_can_read_are_refused(config, data, message):
    config["data"] = {"type": "items", "loader": {}, **data}
    with pytest.raises(ConfigError, match=message):
        go(config)


def test_objects_are_read_by_a_loader():
    x = torch.rand(90, 2, generator=torch.Generator().manual_seed(1))
    data = torch.utils.data.TensorDataset(x)

    def trained(**options):
        torch.manual_seed(0)
        energy = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
        experiment = Experiment(
            data=data, energy=energy, loss=lambda energy, x: energy(x).square().mean(), **options
        )
        return experiment.run(steps=9, batch_size=20, tracking="off", progress=False)

    assert_same(trained().dir, trained(loader={"workers": 1}).dir)
    with pytest.raises(ConfigError, match=r"loader\.worker"):
        trained(loader={"worker": 1})
