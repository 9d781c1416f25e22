"""Run directories changed at random, 300 times: each command says one thing, and leaves the rest.

A killed run's run.json, config.yaml, manifest.json, events.jsonl and metrics.jsonl are changed in
their bytes or in what they say, by hypothesis with a fixed seed. The command line then opens the
directory, in this process: it may succeed or refuse, but there is no traceback, no wait, nothing
sent, no code run, and no file written outside. `sweep/test_hostile.py` does so with a sweep's
storage, 500 times. EBMCORE_TEST_MORE=1 makes it 1,500 times.
"""

import json
import os
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.main import get_command

import ebmcore
from ebmcore.cli.main import app
from support import MORE, PARTS
from support.timeouts import within

TIMES = 1500 if MORE else 300
LIMIT = 20  # seconds that one command may take on a busy machine
SENDING = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec",
           "os.posix_spawn", "pickle.find_class", "sqlite3.connect")  # fmt: skip
TRAP = "http://203.0.113.7:5000"  # an address that no machine has

FILES = ("run.json", "config.yaml", "metrics.jsonl", "events.jsonl",
         "checkpoints/step-00000010/manifest.json")  # fmt: skip
ODD = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, 0.5, -1e308, float("nan"), float("inf"),
    "", "x", "RUNNING", "FINISHED", "\x1b[31m\r\n", "a\x00b", "\u202e", "..", "../..", "/", "~",
    "OUTSIDE", "OUTSIDE/kept", "../OUTSIDE", "../../outside/kept", "/proc/self/mem", "/dev/zero",
    TRAP, "http://me:secret@203.0.113.7", "sqlite:///OUTSIDE/mlflow.db", "file://OUTSIDE",
    "databricks", "redis://203.0.113.7", "x" * 50_000, "NaN", "1e999", [], [None], [[]], {},
    {"": ""}, {"type": "x"}, {"uri": TRAP, "token": "t"}, {"files": ["OUTSIDE/kept"]},
    {"name": "..", "run_dir": "OUTSIDE"}, ["x"] * 300, "!!python/object/apply:os.system [true]",
)  # fmt: skip
NAMES = (
    "uri", "token", "run_id", "status", "seed", "parent", "group", "children", "best", "tracking",
    "plugins", "sha256", "step", "event_shape", "whole", "type", "threads", "device", "launcher",
)  # fmt: skip
COMMANDS = (
    ("runs", "list", "--runs-dir", "RUNS"), ("runs", "show", "RUN"), ("runs", "sync", "RUN"),
    ("runs", "diff", "RUN", "RUN"), ("runs", "show", "RUN", "--json"), ("resume", "RUN"),
    ("runs", "sync", "RUN", "--json"), ("sample", "RUN", "-n", "3", "-o", "out.npz", "--force"),
    ("evaluate", "RUN", "monitors=[{type: parts:looks}]"),
)  # fmt: skip


class Watched:
    """Notes what this process reaches outside of a folder, while it is on."""

    def __init__(self):
        self.folder = None
        self.seen = []
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if self.folder is None:
            return
        if event in SENDING and arguments[0] != "git":  # asked for the commit of the user's folder
            self.seen.append((event, *map(str, arguments)))
        elif event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            # a name alone is relative to an open folder, which `outside` is held against below
            where = os.path.realpath(os.fsdecode(path))
            if not where.startswith((self.folder, "/dev/null", "/proc/self/fd")):
                self.seen.append((event, where, mode))


@pytest.fixture(scope="module")
def watched():
    return Watched()


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_config):
    """A killed run that diverged once, went on once and names a server, with its checkpoints."""
    place = tmp_path_factory.mktemp("made")
    config = make_config()
    config["train"] = {"steps": 12, "batch_size": 20, "checkpoint_every": "5 steps", "ema": 0.5}
    run = ebmcore.run(config, runs_dir=place, progress=False)
    shutil.rmtree(run.dir / "checkpoints" / "step-00000012")
    facts = json.loads((run.dir / "run.json").read_text())
    facts |= {"status": "RUNNING", "mlflow": {"uri": TRAP, "experiment": "e", "token": "run-1"}}
    (run.dir / "run.json").write_text(json.dumps(facts))
    lines = [{"step": 5, "time": 1.0, "event": "skipped", "why": "nan", "in_a_row": 1}]
    (run.dir / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run.dir


def places(value, at=()):
    """Yield the path of every value in a document."""
    yield at
    listed = enumerate(value) if isinstance(value, list) else ()
    for key, inner in value.items() if isinstance(value, dict) else listed:
        yield from places(inner, (*at, key))


def put(document, at, value):
    """Put a value at a path of a document; the document itself is replaced by an empty path."""
    if not at:
        return value
    here = document
    for key in at[:-1]:
        here = here[key]
    here[at[-1]] = value
    return document


@st.composite
def changes(draw):
    """Draw which file is changed, and a function of its bytes."""
    file = draw(st.sampled_from(FILES))
    kind = draw(st.sampled_from(("value", "value", "key", "lines", "bytes", "cut", "text")))
    number, odd = draw(st.integers(0, 10**6)), draw(st.sampled_from(ODD))
    name, raw = draw(st.sampled_from(NAMES)), draw(st.binary(max_size=12))

    def change(data):
        at = number % (len(data) + 1)
        if kind == "bytes":
            return data[:at] + raw + data[at + len(raw) :]
        if kind == "cut":
            return data[:at]
        if kind == "lines":
            lines = data.splitlines(keepends=True)
            return b"".join(lines[number % len(lines) :] + lines[: number % len(lines)]) + data
        if kind == "text":
            return (odd if isinstance(odd, str) else json.dumps(odd)).encode() * (1 + number % 3)
        lines = [data] if not file.endswith("jsonl") else data.splitlines()
        read = yaml.safe_load if file.endswith("yaml") else json.loads
        document = read(lines[-1])
        found = list(places(document))
        where = found[number % len(found)]
        if kind == "key":
            inner = document
            for key in where:
                inner = inner[key]
            where = (*where, name) if isinstance(inner, dict) else where
        document = put(document, where, odd)
        text = yaml.safe_dump(document) if file.endswith("yaml") else json.dumps(document)
        return b"\n".join([*lines[:-1], text.encode()]) + b"\n"

    return file, change, draw(st.sampled_from(COMMANDS))


def contents(folder):
    """Return what a folder holds."""
    return {
        str(f.relative_to(folder)): f.read_bytes() if f.is_file() else None
        for f in sorted(folder.rglob("*"))
    }


@pytest.mark.slow
def test_a_changed_run_directory_is_used_or_refused_in_words(made, watched, tmp_path, monkeypatch):
    home, outside = tmp_path / "home", tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "kept").write_text("mine")
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("EBMCORE_RUNS_DIR", str(home / "mine"))
    before = contents(outside)
    commands = get_command(app)
    ends = {}

    @settings(
        max_examples=TIMES, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @example(("run.json", lambda data: data, ("resume", "RUN")))
    @example(("run.json", lambda data: data, COMMANDS[-1]))
    @given(changes())
    def one(change):
        file, mutate, command = change
        shutil.rmtree(home)
        run = Path(shutil.copytree(made, home / "theirs" / "run"))
        data = mutate((run / file).read_bytes()).replace(b"OUTSIDE", str(outside).encode())
        (run / file).write_bytes(data)
        words = [{"RUN": str(run), "RUNS": str(run.parent)}.get(word, word) for word in command]
        if command[0] in ("resume", "sample", "evaluate"):
            words += ["-p", str(PARTS)]
        said = StringIO()
        watched.folder, watched.seen = str(home), []
        os.chdir(home)
        try:
            with within(LIMIT), redirect_stdout(said), redirect_stderr(said):
                code = commands.main(words, "ebmcore", standalone_mode=True)
        except SystemExit as ended:
            code = ended.code
        finally:
            watched.folder = None
        code = code or 0
        ends[code] = ends.get(code, 0) + 1
        assert code in (0, 1, 2), said.getvalue()
        assert "Traceback" not in said.getvalue()
        assert not set(said.getvalue()) & {"\x1b", "\x00", "\u202e"}
        assert not watched.seen
        assert contents(outside) == before

    one()
    assert min(ends[0], ends[2]) > TIMES * 0.1, ends  # both ways were tried
