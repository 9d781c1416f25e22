"""Jobs of submitit's own stand-ins for Slurm: processes of this machine, and this process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import ebmcore_slurm
import pytest
import yaml
from ebmcore_slurm import Slurm
from ebmcore_slurm.plugin import ebmcore_launchers
from ebmcore_slurm.task import run

from ebmcore import EbmError, Task

PATIENCE = 120.0  # seconds after which what was waited for won't come
SMALL = """
import torch
from torch import nn
from ebmcore import dataset, energy, loss

@dataset
def zeros():
    return torch.zeros(40, 2)

@energy
class bowl(nn.Module):
    def __init__(self, event_shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(event_shape))

    def forward(self, x):
        return (self.weight * x).square().sum(1)

@loss
def size(energy):
    return sum(p.square().sum() for p in energy.parameters())
"""
SWEEP = {
    "base": {
        "plugins": {"files": ["small.py"]},
        "data": "zeros",
        "energy": "bowl",
        "loss": "size",
        "optimizer": {"type": "Adam"},
        "train": {"steps": 4, "batch_size": 20},
        "tracking": "off",
    },
    "space": {"optimizer.lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True}},
    "objective": {"metric": "loss/size"},
    "budget": {"trials": 2},
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def interrupts():
    """Have processes that start here take SIGINT, by which submitit's stand-in cancels its jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def python(code, log="log.txt", **env):
    return Task((sys.executable, "-c", code), Path(log), env)


def swept(launcher):
    """Run a sweep of two trials as a user does; return its output, and its worker's log."""
    Path("small.py").write_text(SMALL)
    Path("tune.yaml").write_text(yaml.safe_dump({**SWEEP, "launcher": launcher}))
    done = subprocess.run(
        [sys.executable, "-m", "ebmcore", "sweep", "tune.yaml", "--json"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (log,) = Path(found["run_dir"], "logs").glob("worker-0-*.txt")
    return found, log.read_text()


def comes(ready):
    until = time.monotonic() + PATIENCE
    while not (found := ready()):
        assert time.monotonic() < until, "what was waited for did not come"
        time.sleep(0.05)
    return found


def ends(job):
    comes(lambda: job.poll() is not None)
    return job.poll()


def gone(*jobs):
    """Wait for submitit's own processes, which outlive their result for a moment."""
    for job in jobs:
        job.job._process.wait(PATIENCE)


def contents(file):
    return file.read_bytes() if file.is_file() else b""


def test_it_is_found_by_its_entry_point():
    (point,) = entry_points(group="ebmcore.v1", name="slurm")
    assert point.value == "ebmcore_slurm.plugin"
    assert ebmcore_launchers() == {"slurm": "ebmcore_slurm.launcher:Slurm"}
    assert ebmcore_slurm.Slurm is Slurm
    with pytest.raises(AttributeError, match="no attribute 'Slrum'"):
        _ = ebmcore_slurm.Slrum


def test_without_slurm_the_error_names_it(monkeypatch):
    if shutil.which("sbatch"):
        pytest.skip("Slurm is here")
    with pytest.raises(ValueError, match=r"sbatch|srun"):
        Slurm()
    with pytest.raises(ValueError, match="slurm_acount"):
        Slurm(cluster="debug", options={"slurm_acount": "physics"})


# submitit leaves the logs of its debug jobs open
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_debug_executor_runs_a_task_when_polled():
    launcher = Slurm(cluster="debug")
    job = launcher.start(python("import os, sys; print(os.environ['A']); sys.exit(4)", A="b"))
    assert not Path("log.txt").exists()
    assert job.poll() == 4
    assert Path("log.txt").read_text() == "b\n"
    stopped = launcher.start(python("print('never')"))
    launcher.close()
    assert stopped.poll() == -15
    assert "never" not in Path("log.txt").read_text()


def test_a_signal_ends_the_command_before_the_job():
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    Path("variables").write_text("{}")
    call = f"run({python(code).argv!r}, 'log', 'variables', '.', 0.3)"
    whole = f"import sys; from ebmcore_slurm.task import run; sys.exit({call} + 20)"
    process = subprocess.Popen([sys.executable, "-c", whole])
    comes(lambda: Path("log").exists() and Path("log").read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 20 - signal.SIGKILL
    assert run((sys.executable, "-c", "raise SystemExit(6)"), "log", "variables", ".") == 6


def test_a_job_that_was_stopped_never_reads_as_done(interrupts):
    """Its command ends in order, with exit code 0, when it is asked to."""
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    launcher = Slurm(cluster="local", grace=PATIENCE)
    job = launcher.start(python(code))
    comes(lambda: Path("log.txt").exists() and Path("log.txt").read_text())
    job.stop()
    assert ends(job) == -15
    done = launcher.start(python("print('done')", log="done.txt"))
    comes(done.job.done)  # it has ended, and nobody has asked yet
    done.stop()
    assert done.poll() == 0
    launcher.close()
    gone(job, done)


def test_variables_are_kept_from_others_and_not_for_long():
    launcher = Slurm(cluster="local")
    code = "import os; print(os.environ['A']); open('go').read()"
    os.mkfifo("go")
    job = launcher.start(python(code, A="a secret"))
    comes(lambda: Path("log.txt").exists() and Path("log.txt").read_text())
    kept = [file for file in Path("slurm").rglob("*") if b"a secret" in contents(file)]
    assert [file.stat().st_mode & 0o777 for file in kept] == [0o600]
    assert Path("slurm").stat().st_mode & 0o777 == 0o700
    Path("go").write_text("")
    assert ends(job) == 0
    assert not kept[0].exists()
    launcher.close()
    gone(job)


def test_a_folder_that_others_can_write_is_refused():
    Path("open").mkdir()
    Path("open").chmod(0o777)
    with pytest.raises(ValueError, match="others can write to it, and submitit runs pickles"):
        Slurm(cluster="debug", folder="open")


@pytest.mark.slow
def test_a_sweep_runs_on_the_local_executor():
    found, log = swept({"type": "slurm", "cluster": "local", "minutes": 5})
    assert (found["complete"], found["failed"]) == (2, 0)
    assert "2 trials were done here" in log
    assert list(Path("slurm").glob("*_submitted.pkl")), "no job was submitted"


def test_a_log_that_is_a_link_is_not_written_to(tmp_path):
    Path("variables").write_text("{}")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "x.txt"
    log.symlink_to(tmp_path / "mine")
    with pytest.raises(EbmError, match="is a link to another place"):
        run((sys.executable, "-c", "print('theirs')"), str(log), "variables", str(tmp_path), 1.0)
    assert (tmp_path / "mine").read_text() == "mine"
