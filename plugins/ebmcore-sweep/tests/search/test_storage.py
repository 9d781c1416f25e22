"""A sweep's database: made by several processes at once, damaged, or another program's."""

import json
import multiprocessing
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from ebmcore_sweep import check_sweep, run_sweep
from ebmcore_sweep.storage.database import JournalLock
from ebmcore_sweep.storage.guarded import StorageError
from ebmcore_sweep.storage.store import file_of, open_storage, whole_url
from ebmcore_sweep.storage.study import join_study, open_study

from ebmcore.errors import EbmError
from support import sweeping

PAGE = 4096


@pytest.fixture
def begun(base, tmp_path):
    """Begin a sweep with a trial that has ended; return its url and its file."""
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 2}))
    study.add_trial(sweeping.trial_of(check_sweep("tune.yaml").sweep))
    return url, tmp_path / "study.db"


def open_together(sweep, barrier, url, answers):
    try:
        barrier.wait(sweeping.PATIENCE)
        open_study(sweep, url).get_trials()
        answers.put("")
    except BaseException as error:
        answers.put(repr(error))
        raise


def test_processes_that_begin_at_once_share_one_database(base, tmp_path):
    sweep = check_sweep(sweeping.write(base)).sweep
    open_study(sweep, f"sqlite:///{tmp_path}/warm.db")  # which imports what each fork needs
    context = multiprocessing.get_context("fork")
    url = f"sqlite:///{tmp_path}/study.db"
    barrier, answers = context.Barrier(6), context.Queue()
    arguments = (sweep, barrier, url, answers)
    begun = [context.Process(target=open_together, args=arguments) for _ in range(6)]
    for process in begun:
        process.start()
    assert [answers.get(timeout=sweeping.PATIENCE) for _ in begun] == [""] * 6
    for process in begun:
        process.join()
    assert [file.name for file in tmp_path.glob("*study.db*")] == ["study.db"]
    assert len(open_storage(url).get_all_studies()) == 1


@pytest.mark.slow
def test_the_second_of_two_simultaneous_sweeps_learns_to_join(base, forks, tmp_path):
    file = sweeping.write(base, budget={"trials": 2})
    commands = sweeping.Commands(forks)
    both = [commands.start(file, "--json") for _ in range(2)]
    found = sorted(sweeping.ends(process) for process in both)
    (code, swept, _), (other, refused, error) = found
    assert (code, swept["complete"]) == (0, 2)
    if other == 0:  # it came when the first had ended, and found nothing left to do
        assert refused["run_dir"] == swept["run_dir"]
    else:
        assert other == 2
        assert "is writing this run" in refused["error"]
        assert "to help: ebmcore sweep --join 'sqlite:///" in refused["error"]
        assert len(error.strip().splitlines()) == 1
    assert len(list(Path("runs").glob("tune-*/summary.md"))) == 1


def test_zeros_anywhere_in_a_database_are_one_message(begun):
    url, file = begun
    sweep = check_sweep("tune.yaml").sweep
    whole = file.read_bytes()
    outcomes = []
    for start in range(0, len(whole), PAGE):
        file.write_bytes(whole[:start] + bytes(PAGE) + whole[start + PAGE :])
        for door in (lambda: join_study(url, None, "w"), lambda: open_study(sweep, url)):
            try:
                door()
                outcomes.append("")
            except EbmError as error:
                outcomes.append(str(error))
    said = [text for text in outcomes if text]
    assert len(said) > len(outcomes) / 2
    assert all(len(text.splitlines()) == 1 for text in said)
    assert any("It is damaged: set it aside" in text for text in said)


@pytest.mark.parametrize("length", [0, 1, 100, 5000, 50_000])
def test_a_database_that_was_cut_off_is_one_message(begun, length):
    url, file = begun
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(EbmError) as raised:
        join_study(url, None, "w")
    assert str(file) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_damage_while_a_worker_works_is_one_message(base):
    _, url = sweeping.begin(sweeping.write(base, budget={"trials": 3}))
    file = file_of(url)

    class Said(list):
        def append(self, text):
            super().append(text)
            if text.startswith("trial 0:"):
                file.write_bytes(file.read_bytes()[:PAGE] + bytes(file.stat().st_size - PAGE))

    said = Said()
    with pytest.raises(StorageError, match=r"study\.db: can't be used: ") as raised:
        sweeping.work(url, said)
    assert len(str(raised.value).splitlines()) == 1
    assert not any("Traceback" in text for text in said)


SPOILS = """
from pathlib import Path

from ebmcore import launcher

class Waits:
    code = None

    def poll(self):
        return self.code

    def stop(self):
        self.code = -15

@launcher
class spoils:
    def start(self, task):
        file = Path("study.db")
        file.write_bytes(file.read_bytes()[:4096] + bytes(file.stat().st_size - 4096))
        return Waits()

    def close(self):
        pass
"""


def test_damage_while_a_sweep_goes_on_is_told_in_its_run(base, tmp_path):
    (tmp_path / "spoils.py").write_text(SPOILS)
    base["plugins"]["files"].append(str(tmp_path / "spoils.py"))
    url = f"sqlite:///{tmp_path}/study.db"
    file = sweeping.write(base, storage=url, launcher="spoils")
    said = []
    with pytest.raises(StorageError, match="can't be used"):
        run_sweep(check_sweep(file), say=said.append)
    (parent,) = Path("runs").glob("tune-*")
    facts = json.loads((parent / "run.json").read_text())
    assert facts["status"] == "FAILED"
    assert "study.db: can't be used" in facts["error"]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
         "SELECT i FROM n", "holds the view 'v'"),
        ("CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM studies; END",
         "holds the trigger 't'"),
        ("CREATE VIRTUAL TABLE f USING fts5(x)", "holds the virtual table 'f'"),
    ],
)  # fmt: skip
def test_what_would_run_in_a_database_is_refused(begun, statement, message):
    url, file = begun
    with closing(sqlite3.connect(file)) as database:
        database.execute(statement)
    with pytest.raises(StorageError, match=message):
        join_study(url, None, "w")


def test_another_programs_database_gets_no_tables(base, tmp_path):
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:
        database.execute("CREATE TABLE accounts (x)")
        database.commit()
    before = (tmp_path / "study.db").read_bytes()
    sweep = check_sweep(sweeping.write(base)).sweep
    with pytest.raises(StorageError, match="is another program's database"):
        open_study(sweep, f"sqlite:///{tmp_path}/study.db")
    assert (tmp_path / "study.db").read_bytes() == before


def test_a_link_at_the_usual_place_is_not_followed(base, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "elsewhere.db").touch()
    (tmp_path / "runs" / "tune.sweep.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(EbmError, match="is a link to another place; name it as `storage`"):
        run_sweep(check_sweep(sweeping.write(base)), say=print)
    assert (tmp_path / "elsewhere.db").read_bytes() == b""


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
@pytest.mark.parametrize("place", ["fifo", "folder", "link to nowhere"])
def test_what_is_no_file_is_not_waited_for(tmp_path, base, kind, place):
    sweep = check_sweep(sweeping.write(base)).sweep
    file = tmp_path / "study.db"
    if place == "fifo":
        os.mkfifo(file)
    elif place == "folder":
        file.mkdir()
    else:
        file.symlink_to(tmp_path / "nowhere")
        (tmp_path / "study.db.lock").symlink_to(tmp_path / "nowhere")
    url = f"{kind}:///{file}"
    with pytest.raises(EbmError, match=r"is no plain file|no such file"):
        join_study(url, None, "w")
    if place != "link to nowhere" or kind == "sqlite":
        with pytest.raises(StorageError, match="is no plain file"):
            open_study(sweep, url)
    assert not (tmp_path / "nowhere").exists() or kind == "journal"


@pytest.mark.parametrize("url", ["", "tune.db", "sqlite://", "sqlite:///", "sqlite:///:memory:",
                                 "sqlite:////a?mode=memory", "journal://host/x", "sqlite:///a\x00b",
                                 "sqlite:////a\x1b[31m", "journal:///"])  # fmt: skip
def test_a_url_that_names_no_file_is_refused(url):
    with pytest.raises(EbmError, match="storage"):
        whole_url(url)


@pytest.mark.parametrize("name", ["a{0}b", "100% a", "a#b", "ü ö", "a;b", "{SCHEMA_VERSION}"])
def test_the_file_that_is_named_is_the_file_that_is_opened(base, tmp_path, name):
    (tmp_path / name).mkdir()
    file = tmp_path / name / f"{name}.db"
    study = open_study(check_sweep(sweeping.write(base)).sweep, f"sqlite:///{file}")
    assert study.study_name == "tune"
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name]
    with pytest.raises(EbmError, match="there is no sweep"):
        join_study(f"sqlite:///{file}", None, "w")


def test_a_lock_that_leads_nowhere_is_taken_away_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr("ebmcore_sweep.storage.database._STALE", 0.2)
    (tmp_path / "a.log.lock").symlink_to(tmp_path / "nowhere")
    lock = JournalLock(tmp_path / "a.log")
    (tmp_path / "a.log").touch()
    assert lock.acquire()
    monkeypatch.setattr("ebmcore_sweep.storage.database._STALE", 100.0)
    monkeypatch.setattr("ebmcore_sweep.storage.database._PATIENCE", 0.2)
    with pytest.raises(StorageError, match=r"another process holds .*a\.log\.lock"):
        JournalLock(tmp_path / "a.log").acquire()
    lock.release()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.log"]


def test_two_sweeps_of_one_file_do_not_share_a_study(base):
    Path("both.yaml").write_text(yaml.safe_dump({}))
    study, url = sweeping.begin(sweeping.write(base, name="one"))
    sweeping.begin(sweeping.write(base, name="two", storage=url))
    with pytest.raises(EbmError, match="say which by --study; sweeps there: one, two"):
        join_study(url, None, "w")
    assert join_study(url, "two", "w")[1].name == "two"
    assert study.study_name == "one"
