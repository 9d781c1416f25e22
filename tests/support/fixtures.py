"""Fixtures of the core's tests and of those of ebmcore-sweep, which their conftest.py import."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import PARTS
from support.forks import Forks, Launcher

__all__ = [
    "begin_command",
    "config",
    "ebmcore_command",
    "elsewhere",
    "empty_store",
    "forked",
    "forks",
    "fresh_command",
    "make_config",
    "own_settings",
    "own_settings_of_module",
    "store",
]

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

CONFIG = {
    "name": "bare",
    "seed": 3,
    "plugins": {"files": [str(PARTS)]},
    "data": {"type": "parts:line", "n": 200},
    "energy": {"type": "parts:bowl"},
    "sampler": {"type": "parts:walk", "step_size": 0.1, "n_steps": 3},
    "chains": {"type": "parts:kept", "size": 40},
    "loss": {"type": "parts:gap"},
    "optimizer": {"type": "Adam", "lr": 0.05},
    "train": {"epochs": 2, "batch_size": 20, "ema": 0.5, "log_every": 5},
    "monitors": [{"type": "parts:looks", "every": "1 epoch"}],
    "tracking": "off",
}


@pytest.fixture(scope="module", autouse=True)
def own_settings_of_module(own_settings):
    """The same folder for fixtures of a module: own_settings of other conftests may have set it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EBMCORE_CONFIG_DIR", str(own_settings))
        yield


@pytest.fixture(scope="session")
def make_config():
    """Return new copies of a config that trains in milliseconds and needs only `parts.py`."""
    return lambda: copy.deepcopy(CONFIG)


@pytest.fixture
def config(make_config):
    """One such config."""
    return make_config()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch, own_settings):
    """Run each test in an empty folder, with no setting of the developer's own."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith(("EBMCORE_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(own_settings))


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory):
    """The user's configuration folder, of this session's tests and of what they share."""
    folder = tmp_path_factory.mktemp("settings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EBMCORE_CONFIG_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory, forks):
    """An empty database of MLflow's; to make it takes seconds, as does the import of MLflow."""
    from mlflow import MlflowClient

    forks.imports = ["mlflow", "mlflow.store.tracking.sqlalchemy_store"]
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def store(empty_store, tmp_path):
    """MLflow's database of this folder, and a client of it."""
    from mlflow import MlflowClient

    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture(scope="session")
def forks():
    """Python's commands in forks of one warm process."""
    made = Forks()
    made.launcher = lambda: Launcher(made)
    yield made
    made.close()


@pytest.fixture
def forked(forks):
    """A launcher whose tasks are such forks, one after the other."""
    return forks.launcher()


@pytest.fixture
def ebmcore_command(forks):
    """Run the command line in a fork of a process that has imported what it imports."""

    def call(*arguments, path=()):
        return forks.run(
            "-m", "ebmcore", *arguments, cwd=Path.cwd(), env=dict(os.environ), path=path
        )

    return call


@pytest.fixture
def begin_command(forks):
    """Begin a command in such a fork, to be stopped or watched; return its `Begun`."""
    begun = []

    def begin(*arguments, **variables):
        env = {**os.environ, **variables}
        begun.append(forks.begin("-m", "ebmcore", *arguments, cwd=Path.cwd(), env=env))
        return begun[-1]

    yield begin
    for command in begun:
        command.close()


@pytest.fixture
def fresh_command():
    """Run the command line as a user does, in a process of its own."""

    def call(*arguments, **options):
        command = [sys.executable, "-m", "ebmcore", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=False, **options
        )

    return call
