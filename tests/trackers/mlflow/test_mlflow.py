"""The mirror, in a real store."""

import http.server
import json
import shutil
import threading
from pathlib import Path

import pytest

import ebmcore
from ebmcore import RunError
from support.servers import held, recorded

LOOKS = {"monitors": [{"type": "parts:looks"}]}

pytestmark = pytest.mark.slow


@pytest.fixture
def tracked(config):
    config["tracking"] = {"experiment": "bare things", "tags": {"who": "me"}}
    return config


def test_a_run_is_mirrored(tracked, store):
    run = ebmcore.run(tracked, progress=False)
    seen = store.get_run(run.mlflow_run_id)
    assert seen.info.status == "FINISHED"
    assert seen.info.run_name == run.dir.name
    experiment = store.get_experiment(seen.info.experiment_id)
    assert experiment.name == "bare things"
    assert seen.data.params["sampler.step_size"] == "0.1"
    assert seen.data.params["loss.0.type"] == "parts:gap"
    assert seen.data.params["optimizer.betas"] == "[0.9, 0.999]"
    assert seen.data.tags["ebmcore.run_dir"] == str(run.dir.resolve())
    assert seen.data.tags["who"] == "me"
    assert "parts.py" in seen.data.tags["ebmcore.plugins"]
    history = store.get_metric_history(run.mlflow_run_id, "loss")
    assert [m.step for m in history] == [5, 10, 15, 18]
    lines = [json.loads(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]
    assert [m.value for m in history] == [line["loss"] for line in lines if "loss" in line]
    names = {f.path for f in store.list_artifacts(run.mlflow_run_id, "figures/looks")}
    assert "figures/looks/step-00000018.png" in names
    assert "figures/looks/image-step-00000009.png" in names
    top = {f.path for f in store.list_artifacts(run.mlflow_run_id)}
    assert {"config.yaml", "plugins"} <= top
    assert "checkpoints" not in top  # its weights are in its model
    rows, held_out = (one.dataset for one in seen.inputs.dataset_inputs)
    digest = json.loads((run.dir / "run.json").read_text())["data"]["hash"][:12]
    assert (rows.name, rows.digest) == ("line", digest)
    assert json.loads(rows.profile)["num_rows"] == 200
    assert (held_out.name, json.loads(held_out.profile)["num_rows"]) == ("line", 20)
    assert seen.data.tags["ebmcore.seed"] == "3"

    # an evaluation joins it, and another of the same step takes its place
    for seed in (0, 1, 1):
        found = ebmcore.evaluate(run.dir, LOOKS, plugins=tracked["plugins"]["files"], seed=seed)
        assert found.warnings == []
        shown = store.get_run(run.mlflow_run_id).data.metrics
        assert {k: v for k, v in shown.items() if k.startswith("evaluate/")} == {
            f"evaluate/{name}": value for name, value in found.metrics.items()
        }
    for name, values in (("mean", 1), ("samples", 2)):  # the seed draws the samples alone
        history = store.get_metric_history(run.mlflow_run_id, f"evaluate/looks/{name}")
        assert [value.step for value in history] == [18] * values
    pictures = store.list_artifacts(run.mlflow_run_id, "evaluate/looks")
    assert {Path(f.path).name: f.file_size for f in pictures} == {
        picture.name: picture.stat().st_size for picture in found.figures
    }
    assert held(store, run.mlflow_run_id) >= recorded(run.dir)
    assert run.dir.joinpath("run.json").read_text().count('"complete"') == 1


def test_a_failed_run_is_failed_there_too(tracked, store):
    tracked["loss"] = {"type": "parts:breaks"}
    tracked["monitors"] = []
    with pytest.raises(RunError) as caught:
        ebmcore.run(tracked, progress=False)
    assert store.get_run(caught.value.run.mlflow_run_id).info.status == "FAILED"


def test_the_environment_names_store_and_experiment(tracked, empty_store, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/other.db"
    shutil.copyfile(empty_store, tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from the environment")
    tracked |= {"tracking": {"checkpoints": "none"}, "monitors": []}
    run = ebmcore.run(tracked, progress=False)
    client = MlflowClient(uri)
    experiment = client.get_experiment(client.get_run(run.mlflow_run_id).info.experiment_id)
    assert experiment.name == "from the environment"
    assert not (tmp_path / "mlflow.db").exists()


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500)

    do_POST = do_GET  # noqa: N815 (the name that http.server looks for)

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("server", ["absent", "broken"])
def test_a_server_that_is_down_never_fails_a_run(tracked, monkeypatch, server):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    httpd = http.server.HTTPServer(("127.0.0.1", 0), Refusing)
    port = httpd.server_port
    if server == "broken":
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
    else:
        httpd.server_close()
    tracked["tracking"]["uri"] = f"http://127.0.0.1:{port}"
    try:
        run = ebmcore.run(tracked, progress=False)
    finally:
        if server == "broken":
            httpd.shutdown()
            httpd.server_close()
    assert run.status == "FINISHED"
    assert run.mlflow_run_id is None
    (warning,) = run.warnings
    assert "the MLflow mirror is not complete" in warning
    found = ebmcore.evaluate(run.dir, LOOKS, plugins=tracked["plugins"]["files"])
    (warning,) = found.warnings
    assert "MLflow doesn't show the evaluation: " in warning
    assert f"`ebmcore runs sync {run.dir}` sends it" in warning
    assert (run.dir / "evaluation/evaluation.json").exists()


def test_numbers_that_mlflow_cannot_hold_are_left_out(tracked, store, tmp_path):
    extra = tmp_path / "extra.py"
    extra.write_text(
        "from ebmcore import monitor\n"
        "@monitor\ndef odd(view):\n"
        "    return {'inf': float('inf'), 'nan': float('nan'), 'one': 1}\n"
    )
    tracked["plugins"]["files"].append(str(extra))
    tracked["monitors"] = [{"type": "odd", "every": "end"}]
    tracked["tracking"]["checkpoints"] = "none"
    run = ebmcore.run(tracked, progress=False)
    seen = store.get_run(run.mlflow_run_id).data.metrics
    assert "odd/inf" not in seen
    assert seen["odd/one"] == 1
    last = json.loads((run.dir / "metrics.jsonl").read_text().splitlines()[-1])
    assert (last["odd/inf"], last["odd/nan"]) == ("inf", "nan")


@pytest.mark.usefixtures("empty_store")  # its processes have imported MLflow
def test_two_first_runs_and_a_sync_at_once(tracked, tmp_path, begin_command):
    tracked["monitors"] = []
    before = ebmcore.run({**tracked, "tracking": "off"}, progress=False)
    (tmp_path / "c.yaml").write_text(json.dumps(tracked))
    one = ("run", "c.yaml", "--json")
    other = ("runs", "sync", before.dir, "--uri", "sqlite:///mlflow.db", "--json")
    processes = [begin_command(*arguments) for arguments in (one, one, other)]
    *found, synced = [json.loads(process.communicate(timeout=300)[0]) for process in processes]
    assert [f["status"] for f in found] == ["FINISHED", "FINISHED"]
    assert not [text for f in found for text in f["warnings"] if "MLflow" in text]
    assert [s["outcome"] for s in synced] == ["sent"]
    ids = {f["mlflow_run_id"] for f in found} | {s["run_id"] for s in synced}
    assert len(ids - {None}) == 3
