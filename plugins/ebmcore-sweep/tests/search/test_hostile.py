"""A sweep's storage changed at random, 500 times: each reads as a sweep, or is refused in a line.

A storage is changed in its rows, in the JSON that stands there, and in its bytes. It is then read
as whoever joins the sweep or goes on with it reads it, with no worker started: there is no other
exception, no wait, nothing sent, and no file opened to be written but the storage's own.
"""

import json
import random
import sys
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
from support import MORE, PARTS, sweeping
from support.sweeping.changed_storage import change_bytes, change_lines, change_rows
from support.timeouts import within

LIMIT = 20  # seconds that one reading may take on a busy machine
State = optuna.trial.TrialState


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


def read(url, own, *, again):
    """Read a storage as `sweep --join` does, up to the first trial; then as `sweep` does again."""
    worker = make_worker(url, [str(PARTS)], worker="worker-1", say=[].append)
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
@pytest.mark.parametrize("part", range(5 if MORE else 2))
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
