"""Runs that only MLflow has: opened, sampled and resumed by the names that MLflow has for them."""

import shutil

import numpy as np
import pytest
import torch

import ebmcore
from ebmcore import EbmError, RunError
from support import PARTS
from support.models import TRUSTED, models, run_in

pytestmark = pytest.mark.slow


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
@pytest.mark.parametrize("sent", ["weights", "last", "none"])
def test_a_failed_run_resumes_where_it_was_sent_whole(sent, place, uri, config, client):
    config["loss"] = {"type": "parts:breaks", "at": 9}
    config["train"]["checkpoint_every"] = "4 steps"
    config["tracking"] = {"uri": uri, "experiment": "models", "checkpoints": sent}
    with pytest.raises(RunError) as raised:
        run_in(place, config)
    failed = raised.value.run
    named, trust = f"runs:/{failed.mlflow_run_id}", [str(PARTS)]
    assert models(client, failed, "model") == []
    if sent == "none":
        with pytest.raises(EbmError, match=f"{named}: can't be opened: it has no model 'model'"):
            ebmcore.load(named, plugins=trust)
        return
    there = ebmcore.load(named, plugins=trust)
    assert there.step == 9
    x = torch.ones(2, 2)
    mine = ebmcore.load(failed.dir, plugins=trust)
    assert torch.equal(there.energy(x), mine.energy(x))
    if sent == "weights":
        with pytest.raises(EbmError, match=r"holds the run's weights alone, .*checkpoints: last"):
            ebmcore.resume(named, plugins=trust, progress=False)
        return
    shutil.rmtree(failed.dir)
    with pytest.raises(RunError) as raised:
        ebmcore.resume(named, plugins=trust, progress=False)
    again = raised.value.run
    assert again.dir.name == failed.dir.name
    assert '"resumed"' in (again.dir / "events.jsonl").read_text()
    assert again.mlflow_run_id == failed.mlflow_run_id
