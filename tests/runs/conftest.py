"""Shared by tests of run directories that somebody else made."""

import pytest

from support import planted


@pytest.fixture
def files(config):
    """Name the plugins of the config, as the user does to open a run of it."""
    return config["plugins"]["files"]


@pytest.fixture
def outside(tmp_path):
    """Files of the user's own, to which links lead."""
    folder = tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    for name in ("file", "inner/step-00000012.png", "inner/seed-0.txt", "inner/run.json"):
        (folder / name).write_text("mine\n")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_config):
    return planted.make_run(make_config(), tmp_path_factory.mktemp("made"))
