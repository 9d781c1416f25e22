"""The MLflow models of runs, made by the mirror and opened as colleagues open them."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import ebmcore
from ebmcore import EbmError
from ebmcore.trackers import sync
from support import PARTS, TABLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),  # its own import
]

COLUMNS = ["age", "dose"]
TRUSTED = [str(PARTS), str(TABLE)]


@pytest.fixture(scope="module")
def rows(place):
    rows = np.random.default_rng(0).normal(size=(60, 3)).round(3)
    rows[:, 2] = rows[:, 2] > 0
    np.save(place / "rows.npy", rows)
    return pd.DataFrame(rows, columns=[*COLUMNS, "y"])


@pytest.fixture(scope="module")
def table(place, rows, uri, make_config):
    """A run of labelled rows of named columns, with a best checkpoint, in the registry."""
    config = make_config()
    config["plugins"]["files"].append(str(TABLE))
    path = str(place / "rows.npy")
    config["data"] = {"type": "table", "path": path, "label": True, "transform": "halved"}
    config |= {"energy": {"type": "labelled"}, "loss": {"type": "fits"}, "monitors": []}
    del config["sampler"], config["chains"]
    config["train"] |= {"keep_best": "loss", "checkpoint_every": "2 steps", "log_every": 1}
    config["tracking"] = {"uri": uri, "register": "patients", "experiment": "models"}
    return run_in(place, config)


@pytest.fixture(scope="module")
def points(place, uri, make_config):
    """A run of points in the plane, with a sampler."""
    config = make_config()
    config["tracking"] = {"uri": uri, "experiment": "models"}
    return run_in(place, config)


def run_in(place, config):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(place)
        run = ebmcore.run(config, runs_dir=place / "runs", progress=False)
    assert not [text for text in run.warnings if "MLflow" in text]
    return run


def opened(uri, **config):
    """Open a model as MLflow does, without its bars and its warnings of versions."""
    from mlflow import pyfunc

    return pyfunc.load_model(uri, model_config={"plugins": TRUSTED, **config})


@pytest.mark.usefixtures("user")
def test_a_table_is_scored_by_column_names(table, rows):
    model = opened(f"runs:/{table.mlflow_run_id}/model")
    shuffled = rows[["y", "dose", "age"]][10:14].astype({"age": "float32"})
    expected = table.score(rows[COLUMNS][10:14], y=rows["y"][10:14].to_numpy(), percentile=False)
    found = model.predict(shuffled)
    np.testing.assert_allclose(found, expected["energy"], rtol=1e-6)
    scores = model.predict(shuffled, params={"what": "score"})
    np.testing.assert_allclose(scores["score_norm"], expected["score_norm"], rtol=1e-6)
    whole = rows[:2].assign(age=[3, -1])  # whole numbers are int64
    assert model.predict(whole).shape == (2,)
    assert model.metadata.signature.inputs.input_names() == [*COLUMNS, "y"]
    assert model.input_example.equals(rows[:3].astype({"y": int}))
    with pytest.raises(Exception, match=r"missing inputs \['dose'\]"):
        model.predict(rows[["age", "y"]])
    with pytest.raises(EbmError, match="what: should be energy, score, sample; got 'logp'"):
        model.predict(rows, params={"what": "logp"})


@pytest.mark.usefixtures("user")
def test_points_are_scored_and_sampled(points):
    model = opened(f"runs:/{points.mlflow_run_id}/model", device="cpu")
    x = model.input_example
    assert x.shape == (3, 2)
    expected = points.score(x, percentile=False)
    np.testing.assert_allclose(model.predict(x), expected.energy, rtol=1e-6)
    assert isinstance(model.get_raw_model(), torch.nn.Module)
    drawn = model.predict(x, params={"what": "sample", "n": 5, "seed": 1})
    np.testing.assert_array_equal(drawn, points.sample(5, seed=1).numpy())
    assert model.predict(x, params={"what": "sample", "n_steps": 1}).shape == (3, 2)


def test_the_model_holds_weights_and_no_pickle(table, client):
    (model,) = models(client, table, "model")
    files = [p for p in Path(model.artifact_location).rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {
        "", ".txt", ".yaml", ".json", ".safetensors", ".bits", ".py",
    }  # fmt: skip
    (state,) = [p for p in files if p.name == "state.json"]
    assert '["optimizer", ' not in state.read_text()
    assert not [p for p in files if p.name == "weights.safetensors"]  # the average is there
    run = client.get_run(table.mlflow_run_id)
    names = {f.path for f in client.list_artifacts(table.mlflow_run_id)}
    assert "checkpoints" not in names
    outputs = {(of.model_id, of.step) for of in run.outputs.model_outputs}
    assert (model.model_id, table.step) in outputs


def models(client, run, name):
    experiment = client.get_run(run.mlflow_run_id).info.experiment_id
    found = client.search_logged_models(
        [experiment], filter_string=f"source_run_id = '{run.mlflow_run_id}'"
    )
    return [model for model in found if model.name == name]


@pytest.mark.usefixtures("user")
def test_the_best_one_is_registered_once(table, client):
    (best,) = models(client, table, "best")
    for again in (False, True):
        if again:
            (sent,) = sync(table.dir, again=True)
            assert sent.outcome == "sent", sent.note
        (version,) = client.search_model_versions("name = 'patients'")
        assert version.source == best.artifact_location
        assert len(models(client, table, "model")) == 1
        assert len(client.get_run(table.mlflow_run_id).outputs.model_outputs) == 2


@pytest.mark.usefixtures("user")
def test_runs_open_by_what_mlflow_calls_them(table, points, client, place, ebmcore_command, rows):
    (best,) = models(client, table, "best")
    for named in (
        f"runs:/{table.mlflow_run_id}",
        f"runs:/{table.mlflow_run_id}/best",
        f"models:/{best.model_id}",
        "models:/patients/1",
        "models:/patients/latest",
    ):
        run = ebmcore.load(named, plugins=TRUSTED)
        kind = "last" if named == f"runs:/{table.mlflow_run_id}" else "best"
        there = ebmcore.load(table.dir, plugins=TRUSTED, checkpoint=kind)
        assert torch.equal(run.energy.weight, there.energy.weight), named
        assert run.step == there.step
    before = run.dir.stat()
    again = ebmcore.load(f"runs:/{table.mlflow_run_id}", plugins=TRUSTED, checkpoint="best")
    assert (again.dir, again.dir.stat().st_mtime_ns) == (run.dir, before.st_mtime_ns)
    folder = place / "artifacts"
    shutil.copytree(best.artifact_location, folder / "model", dirs_exist_ok=True)
    assert ebmcore.load(folder, plugins=TRUSTED).step == run.step
    trust = [word for file in TRUSTED for word in ("-p", file)]
    done = ebmcore_command(
        "sample", f"runs:/{points.mlflow_run_id}", *trust, "-n", 4, "-o", "x.npz"
    )
    assert done.returncode == 0, done.stderr
    assert np.load("x.npz")["x"].shape == (4, 2)
    done = ebmcore_command("resume", f"runs:/{points.mlflow_run_id}", *trust)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("user")
def test_a_strangers_code_is_not_imported(points):
    with pytest.raises(EbmError, match=r"If you trust them, add -p .*parts.py"):
        ebmcore.load(f"runs:/{points.mlflow_run_id}")
    from mlflow import pyfunc

    with pytest.raises(EbmError, match=r"local plugin files, which are code: .*parts.py"):
        pyfunc.load_model(f"runs:/{points.mlflow_run_id}/model")
    with pytest.raises(EbmError, match=r"no such folder|does not exist|not found"):
        ebmcore.load("runs:/0123456789abcdef")


def test_missing_distributions_are_named(points, tmp_path):
    from ebmcore.runner.mlflow_model import _load_pyfunc

    facts = json.loads((points.dir / "run.json").read_text())
    kinds = {"energy": "ebm-nets-of-mine", "sampler": "ebm-walks", "monitor": "ebm-looks"}
    facts["components"] = [
        {"kind": kind, "distribution": name, "version": "1.2"} for kind, name in kinds.items()
    ]
    (tmp_path / "run.json").write_text(json.dumps(facts))
    with pytest.raises(EbmError) as raised:
        _load_pyfunc(str(tmp_path))
    assert str(raised.value) == (
        "the model needs ebm-nets-of-mine 1.2, ebm-walks 1.2, not installed here: "
        "pip install ebm-nets-of-mine ebm-walks"
    )
