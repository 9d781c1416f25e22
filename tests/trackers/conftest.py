"""A run directory without a run, for trackers to follow."""

import pytest

from ebmcore.runs.directory import RunDirectory


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory.create("again", tmp_path / "runs")
    directory.update(status="RUNNING", name="again")
    yield directory
    directory.lock.release()
