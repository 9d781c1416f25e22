"""A sweep's database may be anybody's: it runs no code, and sends nobody anywhere."""

import importlib.util
import json
import pickle
import re
from contextlib import suppress
from pathlib import Path

import optuna
import pytest

from ebmcore.errors import EbmError
from ebmcore.sweep import check_sweep, join_sweep, run_sweep
from ebmcore.sweep.store import open_storage
from ebmcore.sweep.study import begin_study


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sweeping = _load("sweeping")
RUNNING = optuna.trial.TrialState.RUNNING


class Owned:
    def __reduce__(self):
        return Path.touch, (Path("owned"),)


PAYLOAD = pickle.dumps(Owned()).hex()


@pytest.fixture
def stranger(monkeypatch, tmp_path):
    """From here on this is another user, who has another key."""

    def become():
        monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "another user's"))

    return become


@pytest.fixture
def base(config):
    return sweeping.plain(config)


def trial_of(sweep, state=None, value=1.0, **attrs):
    """Return a trial of a sweep in the middle of its range."""
    return optuna.create_trial(
        state=state or optuna.trial.TrialState.COMPLETE,
        params={"optimizer.lr": 0.01},
        distributions={"optimizer.lr": sweep.space.ranges["optimizer.lr"].distribution()},
        value=value if state is None else None,
        **attrs,
    )


def go_on(url):
    """Give the command again by which the sweep was begun."""
    return run_sweep(check_sweep("tune.yaml"), [str(sweeping.PARTS)], say=print)


CMA = [("cma", {}), ("sepcma", {"use_separable_cma": True}), ("cmawm", {"with_margin": True})]


@pytest.mark.parametrize(("prefix", "options"), CMA)
@pytest.mark.parametrize("door", ["join", "join a stranger's", "go on"])
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_pickle_in_a_study_is_not_opened(base, stranger, prefix, options, door, kind, tmp_path):
    url = f"{kind}:///{tmp_path}/study.db"
    file = sweeping.write(base, sampler={"type": "CmaEsSampler", **options}, storage=url)
    study, _ = sweeping.begin(file)
    checked = check_sweep(file)
    study.add_trial(trial_of(checked.sweep, system_attrs={f"{prefix}:optimizer:0": PAYLOAD}))
    if door == "join a stranger's":
        stranger()
    come_in = sweeping.work if door != "go on" else go_on
    with pytest.raises(EbmError, match=r"CmaEsSampler.*TPESampler") as raised:
        come_in(url)
    assert not Path("owned").exists()
    assert len(str(raised.value).splitlines()) == 1


def test_a_pickle_that_comes_while_the_sweep_goes_on_is_not_opened_either(base):
    study, url = sweeping.begin(sweeping.write(base, sampler="CmaEsSampler"))

    def plant(text):
        if "trial 1:" in text:
            sweep = check_sweep("tune.yaml").sweep
            study.add_trial(trial_of(sweep, system_attrs={"cma:optimizer:0": PAYLOAD}))

    with pytest.raises(EbmError, match="CmaEsSampler"):
        join_sweep(url, [str(sweeping.PARTS)], say=plant)
    assert not Path("owned").exists()


def test_state_that_this_user_kept_is_taken_up_again(base):
    pytest.importorskip("cmaes")
    sampler = {"type": "CmaEsSampler", "seed": 1, "n_startup_trials": 1}
    space = {"optimizer.lr": sweeping.RATES, "energy.width": {"type": "float", "low": 1, "high": 2}}
    keys = {"sampler": sampler, "space": space}
    study, url = sweeping.begin(sweeping.write(base, **keys, budget={"trials": 9}))
    assert sweeping.work(url) == 9
    kept = [t for t in study.trials if "cma:seal" in t.system_attrs]
    assert kept
    sweeping.write(base, **keys, budget={"trials": 16})
    again, _ = sweeping.begin(Path("tune.yaml").absolute())
    assert sweeping.work(url) == 7
    generations = [t.system_attrs.get("cma:generation", 0) for t in again.trials]
    assert max(generations[9:]) > max(generations[:9]) > 0


@pytest.mark.parametrize(
    "sampler",
    [
        "NSGAIISampler",
        "TPESampler",
        "GridSampler",
        "QMCSampler",
        "GPSampler",
        "BruteForceSampler",
        "RandomSampler",
    ],
)
def test_no_other_sampler_keeps_a_pickle(sampler):
    source = Path(optuna.__file__).parent
    opens = re.compile(r"pickle|marshal|shelve|joblib|dill|torch\.load|\beval\(|\bexec\(")
    found = {
        str(file.relative_to(source))
        for file in source.rglob("*.py")
        if opens.search(file.read_text()) and "testing" not in file.parts
    }
    # the journal unpickles snapshots, which a file has none of; redis' client has an eval
    assert found == {"samplers/_cmaes.py", "storages/journal/_storage.py",
                     "storages/journal/_redis.py"}  # fmt: skip


def test_redis_is_refused_for_its_pickles():
    with pytest.raises(EbmError, match=r"redis://\*\*\*@host/0: .*pickle"):
        join_sweep("redis://me:secret@host/0", say=print)


def rewrite(url, name, change):
    """Change what a study says of itself, as somebody who can write the database does."""
    study = optuna.load_study(study_name=name, storage=url)
    found = study.user_attrs["ebmcore"]
    change(found)
    study.set_user_attr("ebmcore", found)


CODE = "from pathlib import Path\nPath('owned').touch()\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["base"].update(plugins={"files": ["evil.py"]}),
        lambda d: d["base"].update(plugins={"files": "evil.py"}),
        lambda d: d["space"].update({"plugins.files": [["evil.py"]]}),
        lambda d: d["space"].update({"plugins": [{"files": ["evil.py"]}]}),
        lambda d: d.update(base="evil.yaml"),
        lambda d: d.update(sampler={"type": "evil:Sampler"}),
    ],
)
def test_no_local_file_is_imported_for_a_database(base, change):
    Path("evil.py").write_text(CODE)
    Path("evil.yaml").write_text(json.dumps({"plugins": {"files": ["evil.py"]}}))
    _, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    rewrite(url, "tune", lambda found: change(found["definition"]))
    with suppress(EbmError):
        sweeping.work(url)
    assert not Path("owned").exists()


def test_the_files_to_name_are_shown_quoted(base):
    _, url = sweeping.begin(sweeping.write(base))
    rewrite(url, "tune", lambda found: found.update(files=["/x/a b.py", "$(touch owned).py"]))
    with pytest.raises(EbmError) as raised:
        join_sweep(url, say=print)
    assert "-p '/x/a b.py' -p '$(touch owned).py'" in str(raised.value)


@pytest.mark.parametrize("kind", ["base", "space"])
def test_a_server_that_the_database_alone_names_hears_nothing(base, kind, deaf_server):
    _, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))

    def change(found):
        definition = found["definition"]
        if kind == "base":
            definition["base"]["tracking"] = {"uri": deaf_server.uri}
        else:
            definition["space"]["tracking.uri"] = [deaf_server.uri]

    rewrite(url, "tune", change)
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
    import socket
    import threading

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


def test_this_users_own_sweep_is_sent_to_its_server(base, deaf_server):
    base["tracking"] = {"uri": deaf_server.uri}
    _, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    sweeping.work(url)
    assert deaf_server.calls > 0


def test_nothing_is_written_below_a_folder_that_the_database_names(base, stranger, tmp_path):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 2}))
    victim = tmp_path / "victim"
    (victim / "old").mkdir(parents=True)
    (victim / "old" / "run.json").write_text('{"group": "sweep", "status": "RUNNING"}')
    before = sorted(victim.rglob("*"))

    def change(found):
        found.update(runs_dir=str(victim), parent={"run_dir": str(victim / "old"), "token": None})

    rewrite(url, "tune", change)
    assert sweeping.work(url) == 2
    assert sorted(victim.rglob("*")) == before
    assert {Path(t.user_attrs["run_dir"]).parent.name for t in study.trials} == {"runs"}
    checked = check_sweep("tune.yaml")  # and the coordinator goes on in a parent of its own
    rewrite(url, "tune", change)
    swept = (
        run_sweep(checked._replace(sweep=checked.sweep), [str(sweeping.PARTS)], say=print)
        if checked.sweep.keys.storage
        else None
    )
    assert swept is None
    assert (victim / "old" / "run.json").read_text() == '{"group": "sweep", "status": "RUNNING"}'


def test_a_run_elsewhere_is_not_gone_on_with(base, tmp_path):
    """A trial names a run that was killed, of another sweep's, and another trial's of this one."""
    file = sweeping.write(base, budget={"trials": 1})
    study, url = sweeping.begin(file)
    sweeping.work(url)
    (done,) = study.trials
    own = Path(done.user_attrs["run_dir"])
    elsewhere = tmp_path / "elsewhere" / own.name
    elsewhere.parent.mkdir()
    import shutil

    shutil.copytree(own, elsewhere)
    link = own.with_name(f"{own.name}-link")
    link.symlink_to(elsewhere)
    sweep = check_sweep(sweeping.write(base, budget={"trials": 5})).sweep
    for place in (elsewhere, link, own, f"{own}/../{own.name}", own.parent / "none\x1b[31m"):
        study.add_trial(
            trial_of(sweep, optuna.trial.TrialState.WAITING, user_attrs={"run_dir": str(place)})
        )
    sweeping.begin(file.absolute())
    before = {f: f.stat().st_mtime_ns for f in [*own.rglob("*"), *elsewhere.rglob("*")]}
    said = []
    sweeping.work(url, said)
    assert {f: f.stat().st_mtime_ns for f in before} == before
    began = [t.user_attrs["run_dir"] for t in study.trials[1:]]
    assert len(set(began)) == len(began)
    assert all(Path(run).parent == own.parent for run in began)


def test_begin_study_reads_what_it_finds_as_strangers_words(base):
    study, url = sweeping.begin(sweeping.write(base))
    sweep = check_sweep("tune.yaml").sweep
    for found in (7, None, [], {}, {"definition": 3}, {"definition": {"base": "x"}}):
        study.set_user_attr("ebmcore", found)
        with pytest.raises(EbmError) as raised:
            begin_study(sweep, open_storage(url, patience=60, retries=0))
        assert "'tune'" in str(raised.value)
