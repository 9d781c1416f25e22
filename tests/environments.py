"""Clean environments for tests: our wheels are installed in them, their dependencies are shared.

A virtual environment gets a link to each installed dependency, and to nothing of ours, so that it
is made in seconds and yet has no editable install, no source tree and no plugin but those given.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site = folder / "lib" / version / "site-packages"
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            ours = entry.name.startswith(("ebmcore", "_ebmcore", "__editable__"))
            if not ours and entry.suffix != ".pth":
                (self.site / entry.name).symlink_to(entry)

    def run(self, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments, from a folder that is not the source tree."""
        kept = ("PYTHONPATH", "EBMCORE_", "MLFLOW_")
        variables = {k: v for k, v in os.environ.items() if not k.startswith(kept)}
        return subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env={**variables, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )

    def pip(self, *arguments: object) -> None:
        """Run pip, without reaching for anything that isn't on this machine."""
        done = self.run("-m", "pip", *arguments, cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def install(self, *wheels: Path) -> None:
        """Install wheels, without looking for their dependencies."""
        self.pip("install", "--quiet", "--no-deps", "--no-index", *wheels)

    def ebmcore(self, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run the command `ebmcore`."""
        return self.run("-m", "ebmcore", *arguments, cwd=cwd)


def build_wheels(folders: list[Path], into: Path) -> list[Path]:
    """Build a wheel of each distribution."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", into, *folders], check=True, timeout=300
    )
    return sorted(into.glob("*.whl"))


def document(done: subprocess.CompletedProcess[str]) -> dict:
    """Read the JSON document that a command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
