"""The lock of a run directory."""

import signal
import subprocess
import sys

import pytest

import ebmcore
from ebmcore import EbmError
from ebmcore.runs.lock import RunLock, is_held


def test_a_lock_is_held_by_one_and_freed_by_death(tmp_path):
    code = (
        "import sys, time; from ebmcore.runs.lock import RunLock; "
        "lock = RunLock(sys.argv[1]); lock.acquire(); "
        "print('held', flush=True); time.sleep(60)"
    )
    assert not is_held(tmp_path)
    assert not list(tmp_path.iterdir())
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    assert is_held(tmp_path)
    # such as runs sync, while run.json names the process that was killed
    (tmp_path / "run.json").write_text('{"pid": 1, "host": "here", "status": "KILLED"}')
    with pytest.raises(EbmError, match="another process is writing this run"):
        RunLock(tmp_path).acquire()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not is_held(tmp_path)
    lock = RunLock(tmp_path)
    lock.acquire()
    assert is_held(tmp_path)
    lock.release()
    assert not is_held(tmp_path)


def test_a_run_holds_its_lock_and_gives_it_back(config, tmp_path):
    extra = tmp_path / "extra.py"
    extra.write_text(
        "from pathlib import Path\n"
        "from ebmcore import monitor\nfrom ebmcore.runs.lock import is_held\n"
        "@monitor\ndef lock(view):\n"
        "    return {'held': is_held(next(Path('runs').iterdir()))}\n"
    )
    config["plugins"]["files"].append(str(extra))
    config["monitors"] = [{"type": "lock", "every": "end"}]
    run = ebmcore.run(config, progress=False)
    assert run.metrics["lock/held"] == 1.0
    assert not is_held(run.dir)
