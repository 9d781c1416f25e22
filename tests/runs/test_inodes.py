"""No room for one more file: a run that failed says so all the same, and no status is torn."""

import json
import subprocess
import sys
from contextlib import suppress

import pytest

from ebmcore.errors import DirectoryError
from ebmcore.runs import run_json
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.run_json import read_run_json
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.runs.status import read_account
from support import PARTS


@pytest.fixture
def directory(tmp_path):
    made = RunDirectory.create("run", tmp_path)
    made.update(status="RUNNING", started=1.0)
    yield made
    made.lock.release()


def allow_no_new_file(directory):
    """Let something stand where the next run.json is to be written first."""
    (directory.path / "run.json.part" / "x").mkdir(parents=True)


def test_where_no_file_can_be_made_the_reserve_takes_its_place(directory):
    allow_no_new_file(directory)
    before = (directory.path / ".reserve").stat().st_ino
    directory.update(status="FAILED")
    assert (directory.path / "run.json").stat().st_ino == before
    assert not (directory.path / ".reserve").exists()
    assert read_run_json(SafeFiles(directory.path)) == {"status": "FAILED", "started": 1.0}


@pytest.mark.parametrize("more", ["", "x" * 5000])
def test_without_a_reserve_it_is_written_in_place(directory, more):
    allow_no_new_file(directory)
    directory.release()
    before = (directory.path / "run.json").stat().st_ino
    directory.update(status="FAILED", error=more)
    directory.update(error="short")
    assert (directory.path / "run.json").stat().st_ino == before
    text = (directory.path / "run.json").read_text()
    assert json.loads(text) == {"status": "FAILED", "started": 1.0, "error": "short"}
    assert read_account(directory.path).status == "FAILED"


def test_a_status_whose_writing_is_torn_anywhere_is_found_again(directory, monkeypatch):
    file = directory.path / "run.json"
    allow_no_new_file(directory)
    directory.release()
    old = {"status": "RUNNING", "name": "a run", "metrics": {"loss": 1.5}}
    whole = run_json.write_all
    for new in (
        {**old, "status": "FAILED", "error": "no room at all"},
        {**old, "status": "KILLED", "name": "x\n{\n y"},
        {"status": "FAILED"},
    ):
        seen = set()
        text = json.dumps(old, indent=2) + "\n"
        limit = 0
        while True:
            file.write_text(text)
            left = limit

            def torn(handle, data):
                nonlocal left
                whole(handle, data[:left])
                if len(data) > left:
                    raise KeyboardInterrupt
                left -= len(data)

            monkeypatch.setattr(run_json, "write_all", torn)
            with suppress(KeyboardInterrupt):
                run_json.write_run_json(directory.files, new)
                break
            found = read_run_json(directory.files)
            assert found in (old, new), (limit, file.read_text())
            seen.add(found["status"])
            limit += 1
        assert json.loads(file.read_text()) == new
        assert seen == {old["status"], new["status"]}


def test_a_reserve_that_leads_elsewhere_is_not_written_to(directory, tmp_path):
    allow_no_new_file(directory)
    (tmp_path / "mine").write_text("mine")
    (directory.path / ".reserve").unlink()
    (directory.path / ".reserve").symlink_to(tmp_path / "mine")
    directory.update(status="FAILED")
    assert (tmp_path / "mine").read_text() == "mine"
    assert json.loads((directory.path / "run.json").read_text())["status"] == "FAILED"


def test_a_run_json_that_was_taken_away_is_not_made_again(directory):
    (directory.path / "run.json").unlink()
    with pytest.raises(DirectoryError, match=r"run\.json: was removed while the run went on"):
        directory.update(status="FINISHED")
    assert not (directory.path / "run.json").exists()


HOG = """
import itertools, os
from pathlib import Path
from ebmcore import loss
@loss
def hogs(energy, x, step, *, at: int = 4):
    if step == at:
        for number in itertools.count():
            try:
                Path(os.environ['DISK'], f'hog-{number}').touch(exist_ok=False)
            except OSError:
                break
        raise ZeroDivisionError('no room')
    return energy(x).mean()
"""

INSIDE = """
import json, os, shutil, subprocess, sys
from pathlib import Path
import ebmcore
config, report, disk = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
os.environ['DISK'] = str(disk)
found = []
for inodes, loss in [(n, 'parts:gap') for n in (*range(2, 24), 80)] + [(60, 'hogs'), (200, 'hogs')]:
    options = f'size=8m,nr_inodes={inodes}'
    subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(disk)], check=True)
    said = ''
    try:
        ebmcore.run({**config, 'loss': {'type': loss}}, runs_dir=disk / 'runs', progress=False)
    except ebmcore.EbmError as error:
        said = str(error)
    except BaseException as error:
        said = f'Traceback {error!r}'
    texts = [file.read_text() for file in disk.glob('runs/*/run.json')]
    found.append([inodes, loss, said, texts])
    subprocess.run(['umount', '-l', str(disk)], check=True)
report.write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_a_disk_without_inodes_leaves_no_run_running(config, tmp_path):
    (tmp_path / "hogs.py").write_text(HOG)
    config["plugins"]["files"] = [str(PARTS), str(tmp_path / "hogs.py")]
    config["train"] = {"steps": 9, "batch_size": 20, "log_every": 2, "checkpoint_every": "3 steps"}
    disk, report = tmp_path / "disk", tmp_path / "found.json"
    disk.mkdir()
    for names in (("--mount",), ("--user", "--map-root-user", "--mount")):
        command = ["unshare", *names, sys.executable, "-c", INSIDE, json.dumps(config)]
        with suppress(OSError):
            done = subprocess.run(
                [*command, str(report), str(disk)], check=False, capture_output=True, text=True
            )
            if done.returncode == 0:
                break
    else:
        pytest.skip("no tmpfs can be mounted here")
    found = json.loads(report.read_text())
    statuses = set()
    for inodes, loss, said, texts in found:
        assert "Traceback" not in said, (inodes, said)
        (status,) = [json.loads(text)["status"] for text in texts] or [None]
        assert status in ("FINISHED" if said == "" else "FAILED", None), (inodes, loss, said, texts)
        if loss == "hogs":
            assert status == "FAILED"
            assert "ZeroDivisionError: no room" in said
        statuses.add(status)
    assert statuses == {None, "FAILED", "FINISHED"}
