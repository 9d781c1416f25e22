"""The MLflow models of runs, made by the mirror and opened as colleagues open them."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

import ebmcore
from ebmcore import DataError, EbmError
from ebmcore.config import Tracking
from ebmcore.trackers import sync
from support import PARTS, only_more, servers
from support.models import COLUMNS, TRUSTED, Hill, height, models
from support.runs import change
from support.servers import free_port, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),  # its own import
]


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
    of_one = table.score(rows[COLUMNS][:4], y=1, percentile=False)["energy"]
    for given in (rows[:4], rows[COLUMNS][:4]):
        np.testing.assert_allclose(model.predict(given, params={"label": 1}), of_one, rtol=1e-6)
    with pytest.raises(DataError, match="of its label y, and no labels are given"):
        model.predict(rows[COLUMNS])
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


@pytest.mark.usefixtures("user")
def test_the_best_one_is_registered_once(table, client):
    (best,) = models(client, table, "best")
    copy = ebmcore.load(f"runs:/{table.mlflow_run_id}", plugins=TRUSTED).dir
    for again in (None, table.dir, copy):
        if again:
            (sent,) = sync(again, again=True)
            assert sent.outcome == "sent", sent.note
        (version,) = client.search_model_versions("name = 'patients'")
        assert version.source == best.artifact_location
        assert len(models(client, table, "model")) == 1
        assert len(client.get_run(table.mlflow_run_id).outputs.model_outputs) == 2
    assert version.description == f"best, step {best.params['step']}, of {table.dir.name}"
    assert json.loads(best.tags["mlflow.modelVersions"]) == [{"name": "patients", "version": 1}]
    (loss,) = [metric for metric in best.metrics if metric.key == "loss"]
    (recorded,) = [
        row for row in table.history.itertuples() if row.Index == int(best.params["step"])
    ]
    assert (loss.step, loss.value, loss.dataset_name) == (recorded.Index, recorded.loss, "rows.npy")
    assert servers.held(client, table.mlflow_run_id) == servers.recorded(table.dir)


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


def test_an_experiment_of_objects_says_why_it_has_no_model(client, place, uri):
    energy = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    experiment = ebmcore.Experiment(
        energy=energy, data=torch.randn(40, 2), loss=lambda energy, x: energy(x).mean()
    )
    told = {"uri": uri, "experiment": "models"}
    run = experiment.run(
        steps=2, batch_size=10, tracking=Tracking(**told), runs_dir=place / "runs", progress=False
    )
    assert models(client, run, "model") == []
    tags = client.get_run(run.mlflow_run_id).data.tags
    assert tags["ebmcore.model"].startswith("none: the run was made of objects")
    files = client.list_artifacts(run.mlflow_run_id, "checkpoints/step-00000002")
    assert "weights.safetensors" in {Path(f.path).name for f in files}


@pytest.mark.usefixtures("user")
def test_importable_objects_have_a_model(client, place, uri):
    experiment = ebmcore.Experiment(energy=Hill(2), data=torch.randn(40, 2), loss=height)
    told = {"uri": uri, "experiment": "models"}
    run = experiment.run(
        steps=2, batch_size=10, tracking=Tracking(**told), runs_dir=place / "runs", progress=False
    )
    from mlflow import pyfunc

    from ebmcore.runner.mlflow_model import _load_pyfunc

    model = pyfunc.load_model(f"runs:/{run.mlflow_run_id}/model")
    x = np.random.default_rng(0).standard_normal((3, 2)).astype("float32")
    np.testing.assert_array_equal(model.predict(x), run.energies(x))
    (sent,) = models(client, run, "model")
    recorded = Path(sent.artifact_location) / "data" / "run" / "run.json"
    change(recorded, modules_seal=None)  # as it looks to a colleague
    with pytest.raises(EbmError, match=r"modules of Python. If you trust them, add -p module:sup"):
        _load_pyfunc(str(recorded.parent))
    theirs = _load_pyfunc(str(recorded.parent), {"plugins": ["module:support.models"]})
    np.testing.assert_array_equal(theirs.predict(x), run.energies(x))


@only_more
def test_a_served_model_answers(points, uri):
    """`mlflow models serve` takes a process, and so do its answers."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    place = f"runs:/{points.mlflow_run_id}/model"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "EBMCORE_MODEL_PLUGINS": str(PARTS)}
    programs = [str(Path(sys.executable).parent), environment["PATH"]]  # it starts uvicorn by name
    environment["PATH"] = os.pathsep.join(programs)
    process = subprocess.Popen(
        [*command, "-m", place, "-p", str(port)], start_new_session=True, env=environment
    )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/ping"), what="mlflow models serve")
        x = [[0.5, -1.0], [2.0, 0.0]]
        sent = json.dumps({"inputs": x}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", sent, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)["predictions"]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    expected = points.score(np.array(x, dtype="float32"), percentile=False).energy
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.usefixtures("user")
def test_the_scoring_server_answers_in_process(table, rows):
    from mlflow.pyfunc.scoring_server import invocations

    model, three = opened(f"runs:/{table.mlflow_run_id}/model"), rows[:3]
    sent = json.dumps({"dataframe_records": three.to_dict("records"), "params": {"n": 1}})
    answer = invocations(sent, "application/json", model, model.metadata.get_input_schema())
    assert answer.status == 200, answer.response
    expected = table.score(three[COLUMNS], y=three["y"].to_numpy(), percentile=False)["energy"]
    found = json.loads(answer.response)["predictions"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
