"""Launchers: a kind of part as the others are, and `local`, which the core has itself."""

import os
import sys
import time
from pathlib import Path

import pytest
from ebmcore_sweep.local_launcher import Local

from ebmcore import EbmError, Host, PluginError, Task
from ebmcore.config import build, read_config, read_node
from ebmcore.plugins import Selection

PATIENCE = 240.0  # seconds after which what was waited for won't come

OURS = """
from ebmcore import PositiveInt, hookimpl, launcher

@launcher
class queue:
    def __init__(self, *, length: PositiveInt = 3):
        self.length = length

@hookimpl
def ebmcore_launchers():
    return {"local": "subprocess:Popen"}
"""


def made(options, files=()):
    host = Host.discover(Selection(files=tuple(files)))
    return build(read_node(read_config({"launcher": options}), host, "launcher"), {})


def wait(ready):
    end = time.monotonic() + PATIENCE
    while not (found := ready()):
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.01)
    return found


def python(code, log, **env):
    return Task((sys.executable, "-c", code), log, env)


def ends(job):
    wait(lambda: job.poll() is not None)
    return job.poll()


@pytest.fixture
def local():
    launcher = Local(grace=0.3)
    yield launcher
    launcher.close()


@pytest.fixture
def patient():
    """Of a launcher that kills nothing within a test."""
    launcher = Local(grace=PATIENCE)
    yield launcher
    launcher.close()


def test_a_launcher_is_made_of_its_options_as_other_parts_are():
    assert made("local").grace == 30.0
    assert made({"type": "local", "grace": 2}).grace == 2.0
    with pytest.raises(EbmError, match=r"launcher\.grace: should be greater than 0; got -1"):
        made({"type": "local", "grace": -1})
    with pytest.raises(EbmError, match=r"launcher\.type: no launcher 'locl'\. Did you mean 'local"):
        made("locl")


def test_a_plugin_offers_one_by_hook_or_decorator(tmp_path):
    (file := tmp_path / "farm.py").write_text(OURS)
    assert made({"type": "queue", "length": 5}, [file]).length == 5
    host = Host.discover(Selection(files=(str(file),)))
    assert {"local", "queue"} <= {c.name for c in host.components("launcher")}
    with pytest.raises(PluginError, match=r"more than once; write one of farm:local, sweep:local"):
        host.find("launcher", "local")
    assert host.find("launcher", "sweep:local").load() is Local


def test_a_task_has_its_log_its_variables_and_its_exit_code(local, tmp_path):
    log = tmp_path / "logs" / "one.txt"
    code = "import os, sys; print(os.environ['A']); print('aside', file=sys.stderr); sys.exit(7)"
    assert ends(local.start(python(code, log, A="b"))) == 7
    assert sorted(log.read_text().splitlines()) == ["aside", "b"]
    ends(local.start(python("print('more')", log)))
    assert "more" in log.read_text()
    assert "b" in log.read_text()


def test_what_can_not_be_started_says_why(local, tmp_path):
    with pytest.raises(EbmError, match=r"no-such-program can't be started: "):
        local.start(Task(("no-such-program",), tmp_path / "log"))


def test_a_stopped_task_may_end_in_order(patient, tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "open('ready', 'w'); time.sleep(60)"
    )
    job = patient.start(python(code, tmp_path / "log"))
    wait((tmp_path / "ready").exists)
    assert job.poll() is None
    job.stop()
    job.stop()
    assert ends(job) == 3
    job.stop()


def test_a_deaf_task_and_its_children_are_killed_after_grace(local, tmp_path):
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child:\n"
        "    open('part', 'w').write(str(child)); os.rename('part', 'ready')\n"
        "time.sleep(60)"
    )
    job = local.start(python(code, tmp_path / "log"))
    wait((tmp_path / "ready").exists)
    child = int((tmp_path / "ready").read_text())
    assert os.getpgid(child) == job.pid != os.getpgid(0)
    began = time.monotonic()
    job.stop()
    assert job.poll() is None
    assert ends(job) == -9
    assert time.monotonic() - began >= 0.3

    def gone():
        stat = Path(f"/proc/{child}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"

    wait(gone)


def test_a_stopped_task_never_reads_as_done(patient, tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "open('ready', 'w'); time.sleep(60)"
    )
    job = patient.start(python(code, tmp_path / "log"))
    wait((tmp_path / "ready").exists)
    job.stop()
    assert ends(job) == -15
    done = patient.start(python("", tmp_path / "log"))
    assert done.process.wait(PATIENCE) == 0  # it has ended, and nobody has asked yet
    done.stop()
    assert done.poll() == 0


@pytest.mark.parametrize("place", ["logs/one.txt", "logs"])
def test_no_link_leads_a_log_elsewhere(local, tmp_path, place):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "one.txt").write_text("somebody's")
    link = tmp_path / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere" / Path(place).relative_to("logs"))
    with pytest.raises(EbmError, match=r"is a link"):
        local.start(python("print('mine')", tmp_path / "logs" / "one.txt"))
    assert (tmp_path / "elsewhere" / "one.txt").read_text() == "somebody's"
    assert sorted(file.name for file in (tmp_path / "elsewhere").iterdir()) == ["one.txt"]


def test_a_fifo_in_a_logs_place_is_not_waited_for(local, tmp_path):
    os.mkfifo(tmp_path / "log")
    with pytest.raises(EbmError, match="is a FIFO"):
        local.start(python("print('mine')", tmp_path / "log"))


def test_close_ends_all(tmp_path):
    launcher = Local(grace=PATIENCE)
    jobs = [launcher.start(python("import time; time.sleep(60)", tmp_path / "log")) for _ in "ab"]
    launcher.close()
    assert [job.poll() for job in jobs] == [-15, -15]
