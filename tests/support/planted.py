"""Run directories in which something was planted, and every way into them."""

import contextlib
import io
import json
import os
import shutil
import socket
from pathlib import Path

from typer.main import get_command

import ebmcore
from ebmcore.cli.main import app
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.layout import FILES, FOLDERS
from support.timeouts import within

COMMAND = get_command(app)
PATIENCE = 60  # seconds that nothing in these tests needs


def make_run(config, runs_dir):
    """Return the directory of a run that was killed at step 10 of 12, with all that a run has."""
    config["train"] = {"steps": 12, "batch_size": 20, "checkpoint_every": "5 steps", "ema": 0.5}
    config["train"]["log_every"] = 2
    config["monitors"] = [{"type": "parts:looks", "every": "6 steps"}]
    run = ebmcore.run(config, runs_dir=runs_dir, progress=False)
    ebmcore.evaluate(
        run.dir, {"monitors": [{"type": "parts:looks"}]}, plugins=config["plugins"]["files"]
    )
    shutil.rmtree(run.dir / "checkpoints" / "step-00000012")
    for picture in run.dir.glob("figures/looks/*-00000012.png"):
        picture.unlink()
    directory = RunDirectory(run.dir)
    directory.log("INFO", "it was killed")
    directory.append_event(10, "resumed")
    facts = json.loads((run.dir / "run.json").read_text())
    (run.dir / "run.json").write_text(json.dumps({**facts, "status": "RUNNING"}))
    return run.dir


def places(run_dir):
    """Name every file and folder that a run has or is going to write."""
    there = {file.relative_to(run_dir).as_posix() for file in run_dir.rglob("*")}
    later = {
        "figures/looks/step-00000012.png",
        "figures/looks/image-step-00000012.png",
        "checkpoints/step-00000012",
        "checkpoints/.step-00000012.part",
        ".evaluation.part/looks",
        ".evaluation.part/evaluation.json",
        "children/child.json",
        "logs/seed-0.txt",
    }
    return sorted(there | later | {*FILES, *FOLDERS})


def drafts(run_dir):
    """Name the files beside those, in which they are written."""
    return [f"{name}.part" for name in places(run_dir) if Path(name).suffix not in ("", ".part")]


def put(place, make):
    """Put something in place of what is there."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    make(place)


def a_socket(place):
    """Make a socket, whose name may be longer than the system takes."""
    handle = os.open(place.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{handle}/{place.name}")
    finally:
        os.close(handle)


def sparse(place):
    """Make a file of 1 GB that takes no room."""
    with place.open("wb") as file:
        file.truncate(10**9)


def ways(run_dir, files):
    """Every command that takes a run directory, as a function that returns its exit code."""
    options = [word for file in files for word in ("-p", file)]
    looks = "monitors=[{type: 'parts:looks'}]"
    return {
        "resume": lambda: command("resume", run_dir, *options),
        "evaluate": lambda: command("evaluate", run_dir, looks, *options),
        "sample": lambda: command("sample", run_dir, "-n", 5, "--force", *options),
        "sync": lambda: command("runs", "sync", run_dir),
        "show": lambda: command("runs", "show", run_dir),
        "list": lambda: command("runs", "list", "--runs-dir", run_dir.parent),
        "diff": lambda: command("runs", "diff", run_dir, run_dir),
    }


def command(*words):
    """Call the command line in this process; return its exit code and what it said."""
    said = io.StringIO()
    with within(PATIENCE), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            COMMAND.main(args=[*map(str, words)], prog_name="ebmcore")
            code = 0
        except SystemExit as error:
            code = error.code or 0
    assert "Traceback" not in said.getvalue()
    return code, said.getvalue()


def content(folder):
    """Return all that is in a folder, to be compared."""
    found = {}
    for file in sorted(folder.rglob("*")):
        facts = file.lstat()
        body = file.read_bytes() if file.is_file() else None
        found[file] = (facts.st_mode, facts.st_mtime_ns, body)
    return found
