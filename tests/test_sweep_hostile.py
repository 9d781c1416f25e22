"""A sweep's storage changed at random, 500 times: each reads as a sweep, or is refused in a line.

A storage is changed in its rows, in the JSON that stands there, and in its bytes. It is then read
as whoever joins the sweep or goes on with it reads it, with no worker started: there is no other
exception, no wait, nothing sent, and no file opened to be written but the storage's own.
"""

import importlib.util
import json
import random
import signal
import sqlite3
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import optuna
import pytest
from ebmcore_sweep import Swept, check_sweep
from ebmcore_sweep.search.api import make_worker
from ebmcore_sweep.search.report import headline, markdown, rows
from ebmcore_sweep.search.tally import first_number, is_surplus, tally
from ebmcore_sweep.storage.store import file_of
from ebmcore_sweep.storage.study import open_study

from ebmcore.errors import EbmError


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sweeping = _load("sweeping")
LIMIT = 20  # seconds that one reading may take on a busy machine
State = optuna.trial.TrialState

ODD = [
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, 10**400, 0.5, -1e308, 1e-320, float("nan"),
    float("inf"), "", "x", "local", "\x1b[31m\r\n", "a\x00b", "../..", "/", "/etc/passwd", "~",
    "http://me:secret@127.0.0.1:9/", "sqlite:////tmp/owned.db", "x" * 100_000, "NaN", "Infinity",
    "COMPLETE", "RUNNING", "WAITING", "NOT_SET", "MAXIMIZE", "2999-01-01 00:00:00.000000",
    "0001-01-01 00:00:00.000000", "no date", [], [None], [[]], {}, {"type": "x"}, {"x": {}},
    ["COMPLETE"] * 3, {"type": "CmaEsSampler"}, {"type": "GridSampler", "search_space": {}},
    {"type": "QMCSampler"}, {"type": "SuccessiveHalvingPruner", "reduction_factor": 10**9},
    {"type": "int", "low": 0, "high": 10**18}, {"type": "float", "low": "a", "high": []},
]  # fmt: skip
TEXTS = ['{"a":', "[" * 20_000, '"\\ud800"', "1e999", "{}", "[]", "null", "-", '{"name": "x"}']


@contextmanager
def within(seconds):
    """Raise TimeoutError where a block takes longer."""

    def late(number, frame):
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Watched:
    """Notes what this process connects to, and opens to write, while it is on."""

    def __init__(self):
        self.on = False
        self.seen = []
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if not self.on:
            return
        if event in ("socket.connect", "subprocess.Popen", "os.system", "os.exec"):
            self.seen.append((event, arguments[1:]))
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            self.seen.append((event, arguments[0]))


@pytest.fixture(scope="module")
def watched():
    return Watched()


@pytest.fixture
def storages(config, tmp_path, monkeypatch):
    """Make the storages that are changed: one of each kind, with trials of every state."""
    space = {
        "optimizer.lr": sweeping.RATES,
        "seed": {"type": "int", "low": 0, "high": 9},
        "energy": ["bowl", {"type": "bowl", "width": 3.0}],
    }
    made = {}
    for kind in ("sqlite", "journal"):
        url = f"{kind}:///{tmp_path}/{kind}.db"
        file = sweeping.write(
            sweeping.plain(config), space=space, storage=url, budget={"trials": 9, "minutes": 5.0},
            sampler={"type": "TPESampler", "multivariate": True, "n_startup_trials": 1},
            pruner="MedianPruner",
        )  # fmt: skip
        study, _ = sweeping.begin(file)
        sweep = check_sweep(file).sweep
        for number, state in enumerate(
            [State.COMPLETE, State.COMPLETE, State.FAIL, State.PRUNED, State.WAITING]
        ):
            study.add_trial(
                optuna.create_trial(
                    state=state,
                    value=float(number) if state in (State.COMPLETE, State.PRUNED) else None,
                    params={"optimizer.lr": 0.01, "seed": number, "energy": "bowl"},
                    distributions=sweep.space.distributions,
                    intermediate_values={4: 1.0, 8: 0.5},
                    user_attrs={"worker": "worker-0@here:1", "run_dir": "/a/b", "error": "why"},
                    system_attrs={"failed_trial": 0, "retry_history": [0]} if number == 4 else {},
                )
            )
        study.ask().suggest_int("seed", 0, 9)
        made[url] = (sweep, (tmp_path / f"{kind}.db").read_bytes())
    return made


def odd(rng):
    return rng.choice(ODD)


def changed(value, rng):
    """Change plain data at one place: replace it, take it away, or double it."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.2:
        return odd(rng)
    places = list(value) if isinstance(value, dict) else range(len(value))
    place = rng.choice(places)
    if rng.random() < 0.15:
        del value[place]
    elif isinstance(value, dict) and rng.random() < 0.15:
        value[rng.choice(["x", "type", "plugins", "tracking.uri", "a.b.c", "\x1b[2J"])] = odd(rng)
    else:
        value[place] = changed(value[place], rng)
    return value


def changed_text(text, rng):
    """Change JSON, unless that has been done so that it is none any more."""
    try:
        return json.dumps(changed(json.loads(text), rng))
    except (ValueError, RecursionError):
        return rng.choice(TEXTS)


def change_rows(file, rng):
    """Change a value of a row, its JSON if it is some; or delete the row."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = [name for (name,) in found if name != "alembic_version"]
        table = rng.choice([*tables, "study_user_attributes", "study_user_attributes"])
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        numbers = [n for (n,) in database.execute(f"SELECT rowid FROM {table}")]
        if not numbers:
            return
        number, column = rng.choice(numbers), rng.choice(columns)
        if rng.random() < 0.1:
            database.execute(f"DELETE FROM {table} WHERE rowid = ?", (number,))
            return
        column = next((name for name in columns if name.endswith("_json")), column)
        new = odd(rng)
        if column.endswith("_json"):
            select = f"SELECT {column} FROM {table} WHERE rowid = ?"
            (text,) = database.execute(select, (number,)).fetchone()
            new = changed_text(text, rng) if rng.random() < 0.9 else rng.choice(TEXTS)
        elif isinstance(new, (list, dict)) or (isinstance(new, int) and abs(new) >= 2**63):
            new = rng.choice(TEXTS)
        with suppress(sqlite3.Error):  # what sqlite itself doesn't hold there
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, number))


def change_lines(file, rng):
    """Change a journal's line: its JSON, its place, or all of it."""
    lines = file.read_bytes().splitlines(keepends=True)
    at = rng.randrange(len(lines))
    how = rng.random()
    if how < 0.8:
        lines[at] = changed_text(lines[at].decode(), rng).encode() + b"\n"
    elif how < 0.85:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif how < 0.9:
        del lines[at]
    else:
        lines[at] = rng.choice(TEXTS).encode() + b"\n" * rng.randrange(2)
    file.write_bytes(b"".join(lines))


def change_bytes(file, rng):
    """Change some bytes, set a stretch to zero, or cut the file off."""
    data = bytearray(file.read_bytes())
    at = rng.randrange(len(data))
    how = rng.random()
    if how < 0.4:
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif how < 0.8:
        length = min(rng.choice([16, 512, 4096]), len(data) - at)
        data[at : at + length] = bytes(length)
    else:
        del data[at:]
    file.write_bytes(bytes(data))


def read(url, own, *, again):
    """Read a storage as `sweep --join` does, up to the first trial; then as `sweep` does again."""
    worker = make_worker(url, [str(sweeping.PARTS)], worker="worker-1", say=[].append)
    study, sweep = worker.study, worker.sweep
    found = tally(study)
    found.to_begin(sweep.budget)
    swept = Swept(sweep, found, Path("runs"), url, "FINISHED")
    json.dumps(swept.document())
    assert swept.lines()
    assert len(rows(sweep, found)) == len(found.trials)
    assert all(c.isprintable() for c in markdown(sweep, found).replace("\n", ""))
    assert headline(sweep, found)
    for trial in found.trials:
        is_surplus(study, trial.number, sweep.budget)
        assert 0 <= first_number(study, trial.number) <= trial.number
    if again:
        open_study(own, url)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
@pytest.mark.filterwarnings("ignore")
def test_a_storage_changed_at_random(storages, watched, tmp_path, part):
    outcomes, longest = {"read": 0, "refused": 0}, 0
    watched.seen.clear()
    for seed in range(100 * part, 100 * (part + 1)):
        rng = random.Random(seed)
        url = rng.choices(list(storages), (1, 2))[0]  # a journal is read in a third of the time
        own, whole = storages[url]
        file = file_of(url)
        file.write_bytes(whole)
        change = change_rows if url.startswith("sqlite") else change_lines
        for _ in range(rng.choice([1, 1, 2, 4])):
            change(file, rng)
        if rng.random() < 0.2:
            change_bytes(file, rng)
        try:
            watched.on = True
            with within(LIMIT):
                read(url, own, again=seed % 3 == 0)
            outcomes["read"] += 1
        except EbmError as error:
            outcomes["refused"] += 1
            longest = max(longest, len(str(error)))
        except BaseException as error:
            error.add_note(f"the storage was changed with the seed {seed}")
            raise
        finally:
            watched.on = False
    strange = {str(place) for _, place in watched.seen} - {str(file), f"{file}.lock"}
    assert not {place for place in strange if not place.startswith(str(tmp_path))}
    assert not [event for event, _ in watched.seen if event != "open"]
    assert min(outcomes.values()) > 10, outcomes
    assert longest < 2000
    assert not (tmp_path / "owned").exists()
