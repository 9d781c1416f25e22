"""Runs whose MLflow models the tests open: of points, of a table; in one store."""

import shutil

import pytest


@pytest.fixture(scope="module")
def place(empty_store, tmp_path_factory, own_settings):
    """A folder with a store, where the runs of this file's tests are."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture(scope="module")
def uri(place):
    return f"sqlite:///{place}/mlflow.db"


@pytest.fixture
def user(place, uri, monkeypatch):
    """A user of that store, who has a cache of their own."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))


@pytest.fixture(scope="module")
def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri)
