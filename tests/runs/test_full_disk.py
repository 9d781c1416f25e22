"""A disk that fills up in the midst of a run: one clear error, and what was saved stays whole."""

import json
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import ebmcore
from support import HARD


@pytest.fixture
def config(config):
    config["plugins"]["files"].append(str(HARD))
    config["energy"] = {"type": "factory", "width": 4000}  # 64 kB of weights, twice with the mean
    config["optimizer"] = {"type": "SGD", "lr": 0.001}
    config["train"] = {
        "steps": 60,
        "batch_size": 20,
        "log_every": 5,
        "ema": 0.9,
        "checkpoint_every": "10 steps",
        "keep_checkpoints": 99,
    }
    config["monitors"] = []
    return config


def failed_as_it_should(done, reason):
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert sum(reason in line for line in done.stderr.splitlines()) == 1
    answer = json.loads(done.stdout)
    assert answer["status"] == "FAILED"
    return answer


@pytest.mark.slow
def test_a_limit_at_a_checkpoint_leaves_the_one_before_whole(config, tmp_path, ebmcore_command):
    config["loss"] = [{"type": "gap"}, {"type": "limits", "at": 24, "to": 30_000}]
    (tmp_path / "c.json").write_text(json.dumps(config))
    done = ebmcore_command("run", "c.json", "--json")
    failed_as_it_should(done, "File too large")
    assert "step-00000030: can't be written" in done.stderr
    assert "step-00000020 is whole" in done.stderr
    (folder,) = tmp_path.glob("runs/*")
    assert json.loads((folder / "run.json").read_text())["status"] == "FAILED"
    steps = [int(place.name[5:]) for place in sorted(folder.glob("checkpoints/*"))]
    assert steps == [10, 20]
    recorded = folder / "config.yaml"
    recorded.write_text(recorded.read_text().replace("at: 24,", "at: -1,"))
    resumed = ebmcore.resume(folder, plugins=config["plugins"]["files"], progress=False)
    assert (resumed.status, resumed.step) == ("FINISHED", 60)


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 700 kB, in a namespace of its own; skips where the system allows none."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o size=700k tmpfs {disk} && exec "$@"'
    for names in (("--mount",), ("--user", "--map-root-user", "--mount")):
        before = ("unshare", *names, "sh", "-c", script, "sh")
        with suppress(OSError):
            if subprocess.run([*before, "true"], check=False).returncode == 0:
                return disk, before
    return pytest.skip("no tmpfs can be mounted here")


# a fork runs the command, so that its process and the one that looks at the disk import once
INSIDE = """
import json, os, pathlib, runpy, sys
from ebmcore.checkpoint.files import Checkpoint
import ebmcore.runner.session
disk, report = map(pathlib.Path, sys.argv[1:])
child = os.fork()
if child == 0:
    for stream, name in ((1, 'out.txt'), (2, 'err.txt')):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), stream)
    sys.argv = ['ebmcore', 'run', 'c.json', '--json', '--runs-dir', str(disk)]
    runpy.run_module('ebmcore', run_name='__main__', alter_sys=True)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
(folder,) = disk.iterdir()
report.write_text(json.dumps({
    'code': code, 'err': pathlib.Path('err.txt').read_text(),
    'facts': json.loads((folder / 'run.json').read_text()),
    'whole': [Checkpoint(p).step for p in sorted((folder / 'checkpoints').iterdir())],
}))
"""


@pytest.mark.slow
def test_a_full_disk_fails_the_run_and_keeps_its_checkpoints(config, tmp_path, small_disk):
    disk, before = small_disk
    report = tmp_path / "after.json"
    config["plugins"]["files"] = [str(Path(f).resolve()) for f in config["plugins"]["files"]]
    (tmp_path / "c.json").write_text(json.dumps(config))
    command = [*before, sys.executable, "-c", INSIDE, str(disk), str(report)]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=120)
    found = json.loads(report.read_text())
    assert found["code"] == 1
    assert "Traceback" not in found["err"]
    assert "No space left on device" in found["err"]
    assert found["facts"]["status"] == "FAILED"
    assert found["whole"][:2] == [10, 20]
    assert f"step-{found['whole'][-1]:08d} is whole" in found["err"]


@pytest.mark.slow
@pytest.mark.parametrize("room", [400, 3000])
def test_no_room_from_the_beginning(config, tmp_path, room):
    (tmp_path / "c.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "ebmcore", "run", "c.json", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    failed_as_it_should(done, "File too large")
