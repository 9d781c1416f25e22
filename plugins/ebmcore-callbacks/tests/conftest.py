"""A run to call callbacks with, and settings of these tests alone."""

from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run each test in an empty folder, with no setting of the developer's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "settings"))


@pytest.fixture
def run(tmp_path):
    """A run that takes notes, in place of one that trains."""
    made = SimpleNamespace(
        dir=tmp_path, step=0, stopped="", metrics={}, is_own=True, warnings=[], reasons=[]
    )
    made.warn, made.stop = made.warnings.append, made.reasons.append
    return made
