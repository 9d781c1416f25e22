"""Shared by tests of sweeps: a sweep's file, its study without a worker, and commands."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import optuna
import yaml
from ebmcore_sweep import check_sweep, join_sweep, run_sweep
from ebmcore_sweep.parent import Parent
from ebmcore_sweep.storage.study import open_study, remember

from support import PARTS

PATIENCE = 240.0  # seconds after which what was waited for won't come
RATES = {"type": "float", "low": 1e-3, "high": 0.1, "log": True}


def plain(config):
    """A base of a few steps without samples, whose objective is the size of its weights."""
    config["loss"] = {"type": "size"}
    config["train"] = {"steps": 12, "batch_size": 20, "log_every": 4}
    return config | {"sampler": None, "chains": None, "monitors": []}


def write(base, **keys):
    """Write a sweep's file beside its base in the current folder; return its path."""
    Path("base.yaml").write_text(yaml.safe_dump(base))
    given = {
        "base": "base.yaml",
        "space": {"optimizer.lr": RATES},
        "objective": {"metric": "loss/size", "direction": "minimize"},
        "sampler": {"type": "RandomSampler", "seed": 0},
        "budget": {"trials": 4},
        "patience": 300,
    }
    file = Path("tune.yaml").absolute()
    file.write_text(yaml.safe_dump({**given, **keys}, sort_keys=False))
    return file


def begin(file):
    """Begin a sweep as its command does, but start no worker; return its study and its url."""
    checked = check_sweep(file)
    sweep = checked.sweep
    url = sweep.keys.storage or f"sqlite:///{Path.cwd()}/study.db"
    study = open_study(sweep, url)
    with Parent.begin("sweep", checked.prepared.config.record, tracking=None) as parent:
        facts = {"run_dir": str(parent.path.absolute()), "token": None}
        runs = str(Path("runs").absolute())
        remember(study, sweep, files=list(sweep.files), runs_dir=runs, parent=facts)
    return study, url


def work(url, said=None, **options):
    return join_sweep(url, [str(PARTS)], say=(said if said is not None else []).append, **options)


def rewrite(url, name, change):
    """Change what a study says of itself, as somebody who can write the database does."""
    study = optuna.load_study(study_name=name, storage=url)
    found = study.user_attrs["ebmcore"]
    change(found)
    study.set_user_attr("ebmcore", found)


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
    return run_sweep(check_sweep("tune.yaml"), [str(PARTS)], say=print)


def facts_of(trial):
    return json.loads(Path(trial.user_attrs["run_dir"], "run.json").read_text())


def wait(ready):
    end = time.monotonic() + PATIENCE
    while not (found := ready()):
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.05)
    return found


class Commands:
    """Begins `ebmcore sweep` in warm forks; what is left of it when the test ends is ended too."""

    def __init__(self, forks):
        self.forks = forks
        self.begun = []

    def start(self, *arguments, **variables):
        env = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        line = ("-m", "ebmcore", "sweep", *arguments)
        self.begun.append(self.forks.begin(*line, cwd=Path.cwd(), env=env))
        return self.begun[-1]

    def close(self):
        for process in self.begun:
            process.terminate()  # which ends its workers, too
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
            process.close()


def ends(process):
    out, error = process.communicate(timeout=PATIENCE)
    return process.returncode, json.loads(out), error
