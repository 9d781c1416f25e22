"""Command lines that are printed to be pasted: what resumes a run that was interrupted."""

import json
import shlex
from pathlib import Path

import pytest

from ebmcore.cli.shell.command_line import resume_command
from support.runs import change, cut, facts, go

INTERRUPTS = """
import atexit, gc, os, pathlib, signal, sys, threading, time

from ebmcore import monitor

@monitor
def idle(view):
    return {}

def wait():
    while "torch._inductor.compile_fx" not in sys.modules:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=wait, daemon=True).start()
atexit.register(lambda: pathlib.Path("frozen").write_text(str(gc.get_freeze_count())))
"""


def test_the_resume_command_can_be_pasted(config, tmp_path, ebmcore_command, monkeypatch):
    run = go(config, train__epochs=1, energy__width=0.5, train__checkpoint_every="5 steps")
    cut(run, 5).rename("runs/odd 'n' $name")
    words = shlex.split(resume_command(Path("runs/odd 'n' $name")))
    at = words.index("resume")
    kept = "runs/odd 'n' $name/plugins/parts.py"  # the run's own copy
    assert words[at:] == ["resume", "runs/odd 'n' $name", "-p", kept]
    done = ebmcore_command(*words[at:])
    assert done.returncode == 0, done.stderr
    assert facts(tmp_path / "runs/odd 'n' $name")["status"] == "FINISHED"

    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    several = shlex.split(resume_command(run.dir))
    assert Path(several[0]).name == "torchrun"
    assert several[1:5] == ["--nproc-per-node=2", "-m", "ebmcore", "resume"]
    change(run.dir / "run.json", parent={"name": "seeds", "key": "seed-1"})
    assert resume_command(run.dir) == ""


@pytest.mark.slow
def test_ctrl_c_ends_compiling_with_the_resume_command(config, tmp_path, ebmcore_command):
    (tmp_path / "interrupts.py").write_text(INTERRUPTS)
    config["plugins"]["files"].append("interrupts.py")
    config["monitors"] = []
    (tmp_path / "c.json").write_text(json.dumps(config))
    done = ebmcore_command("run", "c.json", "compile=true")
    assert done.returncode == 130, done
    assert (
        int((tmp_path / "frozen").read_text()) > 0
    )  # else the collection at its end takes seconds
    (folder,) = tmp_path.glob("runs/*")
    said = done.stderr.splitlines()
    assert said[0] == "compiling the step"
    assert said[-2] == f"interrupted by signal 2; the run is in runs/{folder.name}"
    assert said[-1].startswith("resume it: ")
    kept = [f"-p runs/{folder.name}/plugins/{name}.py" for name in ("parts", "interrupts")]
    assert said[-1].endswith(f" resume runs/{folder.name} {' '.join(kept)}")
    assert (facts(folder)["status"], facts(folder)["step"]) == ("KILLED", 0)
    assert not list(folder.glob("checkpoints/step-*"))  # it ended before its first step was done


BUSY = """
import threading, time
import ebmcore
import torch

@ebmcore.loss
def mean(energy, x):
    return energy(x).mean()

def work():
    x = torch.ones((), requires_grad=True)
    twice = 2 * x
    twice.register_hook(lambda gradient: [time.sleep(0.001) for _ in range(100_000)] and None)
    twice.backward()

threading.Thread(target=work, name="ebmcore-busy", daemon=True).start()
"""


@pytest.mark.slow
def test_a_thread_that_is_at_work_in_cpp_aborts_no_command(config, tmp_path, fresh_command):
    (tmp_path / "busy.py").write_text(BUSY)
    config["plugins"]["files"].append("busy.py")
    (tmp_path / "c.json").write_text(json.dumps(config))
    done = fresh_command("run", "c.json", "--dry-run")
    assert (done.returncode, done.stderr.count("terminate called")) == (0, 0), done
    assert done.stdout
