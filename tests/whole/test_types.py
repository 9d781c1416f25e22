"""Types: ours under mypy's strict rules, and those of what `ebmcore plugins new` writes."""

import subprocess
import sys

import pytest

from support import NEW_KINDS, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.plugins]

MYPY = (sys.executable, "-m", "mypy", "--cache-dir", ROOT / ".mypy_cache")


def succeeds(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ours():
    succeeds(*MYPY, cwd=ROOT)


def test_a_new_plugin_of_each_kind_is_typed_and_formatted(ebmcore_command, tmp_path):
    for kind in NEW_KINDS:
        assert ebmcore_command("plugins", "new", f"My.{kind}-part", "--kind", kind).returncode == 0
    packages = [file.parent.relative_to(tmp_path) for file in tmp_path.glob("*/*/py.typed")]
    assert len(packages) == len(NEW_KINDS)
    succeeds(*MYPY, "--strict", *packages, cwd=tmp_path)
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--select", "B,E,F,I,PT,RUF,UP,W", "--ignore", "RUF001,RUF002,RUF003"]
    for command in (["check", *rules], ["format", "--check"]):
        for folder in tmp_path.iterdir():
            options = ["--isolated", "--no-cache", "--line-length", "100", "."]
            succeeds(*ruff, *command, *options, cwd=folder)
