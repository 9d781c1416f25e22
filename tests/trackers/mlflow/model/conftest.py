"""Runs whose MLflow models the tests open: of points, of a table; in one store."""

import shutil

import numpy as np
import pandas as pd
import pytest

from support import TABLE
from support.models import COLUMNS, run_in


@pytest.fixture(scope="session")
def place(empty_store, tmp_path_factory, own_settings):
    """A folder with a store, where the runs of these tests are."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("models")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # where MLflow then keeps all files of this store
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
    return folder


@pytest.fixture(scope="session")
def uri(place):
    return f"sqlite:///{place}/mlflow.db"


@pytest.fixture
def user(place, uri, monkeypatch):
    """A user of that store, who has a cache of their own."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))


@pytest.fixture(scope="session")
def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri)


@pytest.fixture(scope="session")
def rows(place):
    rows = np.random.default_rng(0).normal(size=(60, 3)).round(3)
    rows[:, 2] = rows[:, 2] > 0
    np.save(place / "rows.npy", rows)
    return pd.DataFrame(rows, columns=[*COLUMNS, "y"])


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def points(place, uri, make_config):
    """A run of points in the plane, with a sampler."""
    config = make_config()
    config["tracking"] = {"uri": uri, "experiment": "models"}
    return run_in(place, config)
