"""Compilers end with the run, and when their time is up."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ebmcore.compile.compilers import OutOfTime, time_limit

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Start a compiler by the name of g++ that never ends, and whose own child doesn't either."""
    script = tmp_path / "g++"
    script.write_text(f"#!/bin/bash\nsleep 1000 & echo $! > {tmp_path}/child\nwait\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def run():
        subprocess.run(["g++"], check=True, stdout=subprocess.PIPE)

    run.child = tmp_path / "child"
    return run


def is_gone(pid):
    try:
        return (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_compiler_that_takes_too_long_ends_with_its_child(compiler):
    with pytest.raises(OutOfTime), time_limit(time.monotonic() + 0.3):
        compiler()
    pid = compiler.child.read_text().strip()
    assert any(is_gone(pid) or time.sleep(0.05) for _ in range(100))


def test_no_time_is_no_compiler(compiler):
    with pytest.raises(OutOfTime), time_limit(time.monotonic()):
        compiler()
    assert not compiler.child.exists()


def test_the_timer_of_others_goes_on():
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with time_limit(time.monotonic() + 100):
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 50
            time.sleep(0.01)
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 0.2
        time.sleep(0.3)
        assert heard == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
