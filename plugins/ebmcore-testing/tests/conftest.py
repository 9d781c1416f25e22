"""Fixtures of the kit's tests: an empty folder for each, and the command line."""

import os
from importlib import import_module

import pytest
from typer.testing import CliRunner

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run each test in an empty folder, with no setting of the developer's own."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("EBMCORE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def command():
    """Run the command `ebmcore` in this process."""
    app = import_module("ebmcore.cli.main").app
    return lambda *words: CliRunner().invoke(app, words)
