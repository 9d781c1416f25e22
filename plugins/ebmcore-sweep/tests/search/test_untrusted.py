"""A sweep's database may be anybody's: nothing in it is run."""

import json
import pickle
import re
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from ebmcore_sweep import check_sweep, join_sweep
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._base import BaseJournalSnapshot

from ebmcore.errors import EbmError
from support import PARTS, sweeping

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


DOORS = [
    ("cma", {}, door, kind)
    for door in ("join", "join a stranger's", "go on")
    for kind in ("sqlite", "journal")
]
DOORS += [("sepcma", {"use_separable_cma": True}, "join", "sqlite")]
DOORS += [("cmawm", {"with_margin": True}, "go on", "journal")]


@pytest.mark.parametrize(("prefix", "options", "door", "kind"), DOORS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_pickle_in_a_study_is_not_opened(base, stranger, prefix, options, door, kind, tmp_path):
    url = f"{kind}:///{tmp_path}/study.db"
    file = sweeping.write(base, sampler={"type": "CmaEsSampler", **options}, storage=url)
    study, _ = sweeping.begin(file)
    checked = check_sweep(file)
    study.add_trial(
        sweeping.trial_of(checked.sweep, system_attrs={f"{prefix}:optimizer:0": PAYLOAD})
    )
    if door == "join a stranger's":
        stranger()
    come_in = sweeping.work if door != "go on" else sweeping.go_on
    with pytest.raises(EbmError, match=r"CmaEsSampler.*TPESampler") as raised:
        come_in(url)
    assert not Path("owned").exists()
    assert len(str(raised.value).splitlines()) == 1


def test_a_pickle_planted_during_the_sweep_is_not_opened(base):
    study, url = sweeping.begin(sweeping.write(base, sampler="CmaEsSampler"))

    def plant(text):
        if "trial 1:" in text:
            sweep = check_sweep("tune.yaml").sweep
            study.add_trial(sweeping.trial_of(sweep, system_attrs={"cma:optimizer:0": PAYLOAD}))

    with pytest.raises(EbmError, match="CmaEsSampler"):
        join_sweep(url, [str(PARTS)], say=plant)
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


def test_nothing_else_of_optuna_opens_pickles_or_runs_text():
    source = Path(optuna.__file__).parent
    opens = re.compile(r"pickle|marshal|shelve|joblib|dill|torch\.load|\beval\(|\bexec\(")
    found = {
        str(file.relative_to(source))
        for file in source.rglob("*.py")
        if opens.search(file.read_text()) and "testing" not in file.parts
    }
    # a journal's snapshots are pickles, and a file has none; to eval is to have redis run Lua
    journal = {"storages/journal/_storage.py", "storages/journal/_redis.py"}
    assert found == {"samplers/_cmaes.py", *journal}
    assert not issubclass(JournalFileBackend, BaseJournalSnapshot)
    assert (source / "samplers/_cmaes.py").read_text().count("pickle.loads") == 1


def test_redis_is_refused_for_its_pickles():
    with pytest.raises(EbmError, match=r"redis://\*\*\*@host/0: .*pickle"):
        join_sweep("redis://me:secret@host/0", say=print)


CODE = "from pathlib import Path\nPath('owned').touch()\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["base"].update(plugins={"files": ["evil.py"]}),
        lambda d: d["base"].update(plugins={"files": "evil.py"}),
        lambda d: d["space"].update({"plugins.files": [["evil.py"]]}),
        lambda d: d["space"].update({"plugins": [{"files": ["evil.py"]}]}),
        lambda d: d["base"].update(plugins={"modules": ["evil"]}, energy={"type": "evil:Net"}),
        lambda d: d.update(base="evil.yaml"),
        lambda d: d.update(sampler={"type": "evil:Sampler"}),
    ],
)
def test_no_local_file_is_imported_for_a_database(base, change, monkeypatch):
    monkeypatch.syspath_prepend(Path.cwd())
    Path("evil.py").write_text(CODE)
    Path("evil.yaml").write_text(json.dumps({"plugins": {"files": ["evil.py"]}}))
    _, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    sweeping.rewrite(url, "tune", lambda found: change(found["definition"]))
    with suppress(EbmError):
        sweeping.work(url)
    assert not Path("owned").exists()


def test_the_files_to_name_are_shown_quoted(base):
    _, url = sweeping.begin(sweeping.write(base))
    sweeping.rewrite(
        url, "tune", lambda found: found.update(files=["/x/a b.py", "$(touch owned).py"])
    )
    with pytest.raises(EbmError) as raised:
        join_sweep(url, say=print)
    assert "-p '/x/a b.py' -p '$(touch owned).py'" in str(raised.value)
