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

from support import forks

BUILD = """
import os, sys
from hatchling.build import build_wheel
into, *folders = sys.argv[1:]
for folder in folders:
    os.chdir(folder)
    build_wheel(into)
"""


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.forks = forks.Forks(folder / "bin" / "python")
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site = folder / "lib" / version / "site-packages"
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            ours = entry.name.startswith(("ebmcore", "_ebmcore", "__editable__"))
            if not ours and entry.suffix != ".pth":
                (self.site / entry.name).symlink_to(entry)

    def __enter__(self) -> Environment:
        return self

    def __exit__(self, *raised: object) -> None:
        self.forks.close()

    def run(
        self, *arguments: object, cwd: Path, warm: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments, from a folder that is not the source tree.

        `warm` is in a fork of a process that has imported the core and what it needs: of those that
        are installed when the first of them is run.
        """
        ours = ("PYTHONPATH", "EBMCORE_", "MLFLOW_")
        variables = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        variables["MLFLOW_DISABLE_TELEMETRY"] = "true"
        if warm:
            variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # hypothesis's takes seconds
            return self.forks.run(*arguments, cwd=cwd, env=variables)
        return subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env=variables,
        )

    def pip(self, *arguments: object) -> None:
        """Run pip, without reaching for anything that isn't on this machine."""
        done = self.run("-m", "pip", *arguments, cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def install(self, *wheels: Path) -> None:
        """Install wheels, without looking for their dependencies."""
        self.pip("install", "--quiet", "--no-deps", "--no-index", *wheels)

    def ebmcore(
        self, *arguments: object, cwd: Path, warm: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the command `ebmcore`."""
        return self.run("-m", "ebmcore", *arguments, cwd=cwd, warm=warm)


def build_wheels(folders: list[Path], into: Path) -> list[Path]:
    """Build a wheel of each distribution, by the backend that they all name."""
    command = [sys.executable, "-c", BUILD, into, *folders]
    subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL)
    return sorted(into.glob("*.whl"))


def document(done: subprocess.CompletedProcess[str]) -> dict:
    """Read the JSON document that a command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
