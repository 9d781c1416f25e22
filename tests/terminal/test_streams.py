"""A terminal that is closed, full or gone is nobody's failure; an answer that is lost is said so.

Every command meets every way in which a stream breaks, in forks whose descriptors are broken, and
the ways that a fork can't show, in processes of their own.
"""

import importlib.metadata
import json
import os
import pty
import shutil
import subprocess
import sys
import time

import pytest

import ebmcore
import support

WAYS = ("closed", "full", "gone", "hung up")
FILES = {"full": "/dev/full"}
LOST = 74
LOUD = """
import logging, sys, warnings
from ebmcore import loss
log = logging.getLogger("loud")
log.addHandler(logging.StreamHandler())
log.addHandler(logging.StreamHandler(sys.stdout))
@loss
def loud(energy, x, step):
    '''Say something everywhere, at each step.'''
    print("printed", step)
    print("printed", step, file=sys.stderr)
    sys.stderr.write(f"\\r{step} it/s")
    sys.stdout.flush()
    log.warning("logged %d", step)
    warnings.warn(f"warned {step}")
    return energy(x).mean()
"""


@pytest.fixture(scope="module")
def finished(make_config, tmp_path_factory):
    """A run that has FINISHED, and the config that it was made of."""
    folder = tmp_path_factory.mktemp("finished")
    config = make_config()
    (folder / "c.json").write_text(json.dumps(config))
    ebmcore.run(config, runs_dir=folder / "runs", progress=False).dir.rename(folder / "run")
    (folder / "loud.py").write_text(LOUD)
    return folder


@pytest.fixture
def broken(finished, forks, tmp_path):
    """Run a command beside the finished run, with its streams broken."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)

    def call(words, **ways):
        numbers = {{"out": 1, "err": 2}[name]: FILES.get(way, way) for name, way in ways.items()}
        return forks.run(
            "-m", "ebmcore", *words.split(), cwd=tmp_path, env=dict(os.environ), broken=numbers
        )

    return call


BOTH = [{"out": way, "err": way} for way in ("closed", "full")]
OUT = [{"out": way} for way in WAYS] + BOTH
ERR = [{"err": way} for way in WAYS] + BOTH

PARTS = str(support.PARTS)
OWN = f"-p {PARTS}"
ANSWERS = (  # which nothing but standard output holds
    "show optimizer Adam",
    "plugins list",
    "runs list",
    "runs show run",
    "runs diff run run",
    "run c.json --dry-run",
    "--version",
    "show optimizer Adam --json",
)
STAYS = (  # what they do is on the disk
    "run c.json",
    f"sample run -n 5 --force {OWN}",
    f"evaluate run monitors=[parts:warns] {OWN}",
    "runs sync run",
    f"resume run {OWN}",
)
WRONG = ("components nothing", "run nothing.yaml", "runs list --nothing", "nothing")
NAMES = (point.name for point in importlib.metadata.entry_points(group="ebmcore.v1"))
DOCTOR = " ".join(["plugins doctor", *(f"-p no:{name}" for name in NAMES)])
SLOW = ("check quiet.py", "components chains", "schema", DOCTOR)


def without_a_traceback(done):
    for text in (done.stdout, done.stderr):
        assert "Traceback" not in text
        assert "Exception ignored" not in text


def holds(done, code, found):
    without_a_traceback(done)
    assert done.returncode == code, (found, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_that_is_lost_is_no_success(words, broken):
    whole = broken(words)
    assert (whole.returncode, whole.stderr) == (0, "")
    for found in ({"err": "full"}, *OUT):
        done = broken(words, **found)
        holds(done, LOST if "out" in found else 0, found)
        if "out" not in found:
            assert len(done.stdout) == len(whole.stdout)
        elif "err" not in found:
            (line,) = done.stderr.splitlines() or [""]
            told = line.startswith("the answer can't be written to standard output: ")
            assert told is (found["out"] != "gone")  # a reader that left wanted no more


@pytest.mark.slow
@pytest.mark.parametrize("words", STAYS)
def test_work_on_disk_is_done_though_its_table_is_lost(words, broken, tmp_path):
    holds(broken(words), 0, {})
    for found in (*ERR, {"out": "gone"}):
        holds(broken(words, **found), 0, found)
    holds(broken(f"{words} --json", out="full"), LOST, "--json")
    holds(broken(f"{words} --json", err="gone"), 0, "--json")
    assert statuses(tmp_path) <= {"FINISHED"}


def statuses(folder):
    return {json.loads(p.read_text())["status"] for p in folder.rglob("runs/**/run.json")}


@pytest.mark.slow
@pytest.mark.parametrize("words", WRONG)
def test_what_is_refused_is_refused_with_the_same_code(words, broken):
    for found in BOTH + ERR[:4]:
        holds(broken(words, **found), 2, found)


@pytest.mark.slow
@pytest.mark.parametrize("words", SLOW)
def test_answers_that_take_a_while(words, broken, tmp_path):
    (tmp_path / "quiet.py").write_text(
        "from ebmcore import dataset\n@dataset\ndef quiet():\n    '''Two.'''\n    return [.5, 1]\n"
    )
    for found in ({"err": "full"}, {"out": "hung up"}, {"out": "closed", "err": "closed"}):
        holds(broken(words, **found), LOST if "out" in found else 0, found)


@pytest.mark.slow
@pytest.mark.plugins
def test_several_seeds(broken, tmp_path):
    words = f"run c.json --seeds 2 --launcher forking -p {support.FORKING}"
    holds(broken(words, err="gone"), 0, "gone")
    holds(broken(words, out="closed", err="closed"), 0, "closed")
    holds(broken(f"{words} --json", out="full"), LOST, "--json")
    assert statuses(tmp_path) == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.plugins
def test_a_sweep(broken, tmp_path):
    sweep = {
        "base": "c.json",
        "space": {"optimizer.lr": {"type": "float", "low": 1e-3, "high": 0.1}},
        "objective": {"metric": "loss", "direction": "minimize"},
        "budget": {"trials": 1},
    }
    (tmp_path / "s.json").write_text(json.dumps(sweep))
    holds(broken("sweep s.json --dry-run", err="full"), 0, "--dry-run")
    holds(broken("sweep s.json --dry-run", out="full"), LOST, "--dry-run")
    holds(broken("sweep s.json", out="closed", err="closed"), 0, "closed")
    assert statuses(tmp_path) == {"FINISHED"}


@pytest.mark.slow
def test_a_new_plugin_is_written(broken, tmp_path):
    for n, found in enumerate(ERR):
        holds(broken(f"plugins new plugin-{n} --kind loss", **found), 0, found)
        assert (tmp_path / f"plugin-{n}" / "pyproject.toml").exists()


@pytest.mark.slow
def test_whatever_a_part_prints_the_run_is_finished(broken, tmp_path):
    loud = f"run c.json plugins.files=[{PARTS},loud.py] loss=[parts:gap,loud:loud]"
    whole = broken(loud)
    assert "printed 7" in whole.stdout
    assert "logged 7" in whole.stdout
    for word in ("printed 7", "7 it/s", "logged 7", "UserWarning: warned 7"):
        assert word in whole.stderr
    for found in ERR + OUT[:2]:
        holds(broken(loud, **found), 0, found)
    holds(broken(f"{loud} --json", out="full"), LOST, "--json")
    for found in BOTH:
        holds(broken(f"{loud} loss.1=parts:breaks", **found), 1, found)
    assert statuses(tmp_path) == {"FINISHED", "FAILED"}


BROKEN = [">/dev/full 2>&1", "2>&1 | true", ">&- 2>&-", "2>&-"]


@pytest.mark.slow
@pytest.mark.parametrize("redirected", BROKEN if support.MORE else BROKEN[:2])
def test_a_process_of_its_own(finished, tmp_path, redirected):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    loud = f"run c.json plugins.files=[{PARTS},loud.py] loss=[parts:gap,loud:loud] name=ünï"
    script = f"({sys.executable} -m ebmcore {loud}; echo $? >code) {redirected}"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    without_a_traceback(done)
    assert (tmp_path / "code").read_text() == "0\n"
    assert statuses(tmp_path) == {"FINISHED"}


@pytest.mark.slow
def test_a_pipe_that_does_not_wait_gets_the_whole_document():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    words = [sys.executable, "-m", "ebmcore", "schema"]
    with subprocess.Popen(words, stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        with open(reader, encoding="utf-8") as stream:
            time.sleep(1.0)  # the pipe fills up
            found = json.load(stream)
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert "properties" in found


@pytest.mark.slow
def test_a_script_ends_as_it_would_have(finished, forks, tmp_path):
    script = f"import ebmcore; print(ebmcore.run({str(finished / 'c.json')!r}).status)"
    full = subprocess.run(
        ["sh", "-c", f'{sys.executable} -c "{script}" 2>/dev/full'],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    closed = forks.run("-c", script, cwd=tmp_path, env=dict(os.environ), broken={2: "closed"})
    for done in (full, closed):
        assert (done.returncode, done.stdout) == (0, "FINISHED\n")


@pytest.mark.slow
def test_a_terminal_that_is_closed_while_a_run_trains(finished, forks, tmp_path):
    ours, theirs = pty.openpty()
    long = ["train.steps=60", "train.epochs=null", "loss=parts:dawdles"]
    words, name = ["run", finished / "c.json", *long], os.ttyname(theirs)
    process = forks.begin(
        "-m", "ebmcore", *words, cwd=tmp_path, env=dict(os.environ), broken={1: name, 2: name}
    )
    assert b"training" in _until(ours, b"training")
    for end in (theirs, ours):
        os.close(end)  # no SIGHUP: the process has another terminal, or none, to control it
    assert process.wait(120) == 0
    process.close()
    assert statuses(tmp_path) == {"FINISHED"}


def _until(terminal, word):
    seen = b""
    while word not in seen:
        seen += os.read(terminal, 4096)
    return seen
