"""Where a sweep's runs go and are sent: the database, which may be anybody's, does not say."""

import shutil
import socket
import threading
from pathlib import Path

import optuna
import pytest
from ebmcore_sweep import check_sweep
from ebmcore_sweep.search.definition import read_sweep
from ebmcore_sweep.storage.store import open_storage
from ebmcore_sweep.storage.study import Facts, begin_study, own_tracking

import ebmcore
from ebmcore.errors import EbmError
from support import sweeping


@pytest.mark.parametrize("kind", ["base", "space"])
def test_a_server_that_the_database_alone_names_hears_nothing(base, kind, deaf_server):
    _, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))

    def change(found):
        definition = found["definition"]
        if kind == "base":
            definition["base"]["tracking"] = {"uri": deaf_server.uri}
        else:
            definition["space"]["tracking.uri"] = [deaf_server.uri]

    sweeping.rewrite(url, "tune", change)
    said = []
    try:
        sweeping.work(url, said)
    except EbmError as error:
        said.append(str(error))
    assert deaf_server.calls == 0
    assert any("MLFLOW_TRACKING_URI" in text or "can't be varied" in text for text in said)


@pytest.fixture
def deaf_server():
    """A server that counts who connects, and answers nothing."""

    class Server:
        calls = 0

        def __init__(self):
            self.socket = socket.create_server(("127.0.0.1", 0))
            self.uri = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
            threading.Thread(target=self.listen, daemon=True).start()

        def listen(self):
            while True:
                try:
                    connection, _ = self.socket.accept()
                except OSError:
                    return
                self.calls += 1
                connection.close()

    server = Server()
    yield server
    server.socket.close()


def test_no_tracker_that_the_database_alone_names_is_kept(base):
    table = {"type": "table", "file": "/elsewhere"}
    for given, alone in (([table, "mlflow"], {}), (table, "off")):
        base["tracking"] = given
        sweep = read_sweep(sweeping.write(base))
        facts = Facts({}, (), "runs", "", None, own=False)
        kept, said = own_tracking(sweep, facts)
        assert kept.base.tree["tracking"] == alone
        assert "names other trackers" in said
        mine, said = own_tracking(sweep, facts._replace(own=True))
        assert (mine.base.tree["tracking"], said) == (given, "")


def test_this_users_own_sweep_is_sent_to_its_server(base, deaf_server):
    base["tracking"] = {"uri": deaf_server.uri}
    _, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    sweeping.work(url)
    assert deaf_server.calls > 0


@pytest.fixture
def victim(tmp_path):
    """A folder with a run that looks like a sweep's."""
    folder = tmp_path / "victim"
    (folder / "old").mkdir(parents=True)
    (folder / "old" / "run.json").write_text('{"group": "sweep", "status": "RUNNING"}')
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def point_at(url, folder):
    parent = {"run_dir": str(folder / "old"), "token": None}
    sweeping.rewrite(url, "tune", lambda found: found.update(runs_dir=str(folder), parent=parent))


def test_nothing_is_written_where_the_database_alone_points(base, victim):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 2}))
    point_at(url, victim)
    before = contents(victim)
    assert sweeping.work(url) == 2
    assert contents(victim) == before
    assert {Path(t.user_attrs["run_dir"]).parent for t in study.trials} == {Path("runs").absolute()}


def test_no_other_run_of_this_users_becomes_the_parent(base, tmp_path):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    other = ebmcore.run(base, progress=False).dir.absolute()
    before = contents(other)
    parent = {"run_dir": f"/elsewhere/{other.name}", "token": None}
    sweeping.rewrite(url, "tune", lambda found: found.update(parent=parent))
    assert sweeping.work(url) == 1
    assert contents(other) == before
    assert sweeping.facts_of(study.trials[0])["parent"] is None


def test_a_sweep_goes_on_in_a_parent_of_this_users(base, victim, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    sweeping.begin(sweeping.write(base, budget={"trials": 1}, storage=url))
    sweeping.work(url)  # so that nothing is left to do
    (known,) = Path("runs").glob("tune*/children")
    point_at(url, victim)
    before = contents(victim)
    swept = sweeping.go_on(url)
    assert contents(victim) == before
    assert swept.parent.parent == Path("runs").absolute()
    assert swept.parent != known.parent.absolute()
    again = sweeping.go_on(url)  # which the signature of the last one leads to
    assert again.parent == swept.parent


def test_a_run_elsewhere_is_not_gone_on_with(base, tmp_path):
    """Trials name a copy elsewhere, a link to it, another trial's run, and what isn't there."""
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    sweeping.work(url)
    own = Path(study.trials[0].user_attrs["run_dir"])
    elsewhere = tmp_path / "elsewhere" / own.name
    shutil.copytree(own, elsewhere)
    link = own.with_name(f"{own.name}-link")
    link.symlink_to(elsewhere)
    file = sweeping.write(base, budget={"trials": 6})
    places = (elsewhere, link, own, f"{own}/../{own.name}", own.parent / "none\x1b[31m")
    for place in places:
        study.add_trial(
            sweeping.trial_of(
                check_sweep(file).sweep,
                optuna.trial.TrialState.WAITING,
                user_attrs={"run_dir": str(place)},
            )
        )
    sweeping.begin(file)
    before = contents(own), contents(elsewhere)
    said = []
    assert sweeping.work(url, said) == len(places)
    assert (contents(own), contents(elsewhere)) == before
    began = [Path(t.user_attrs["run_dir"]) for t in study.trials]
    assert len(set(began)) == len(began)
    assert {run.parent for run in began} == {own.parent}
    assert f"{own} is another trial's run; it begins anew" in "\n".join(said)


def test_begin_study_reads_what_it_finds_as_strangers_words(base):
    study, url = sweeping.begin(sweeping.write(base))
    sweep = check_sweep("tune.yaml").sweep
    for found in (7, None, [], {}, {"definition": 3}, {"definition": {"base": "x"}}):
        study.set_user_attr("ebmcore", found)
        with pytest.raises(EbmError) as raised:
            begin_study(sweep, open_storage(url))
        assert "'tune'" in str(raised.value)
