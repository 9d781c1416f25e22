"""Many seeds as one experiment: child runs of one config, and a parent with their medians.

Each child is a run as `ebmcore run` makes it, in a process of its own, with its seed alone set over
the parent's config. When all have ended, the parent gets the median and its interval of each
metric at each step that all children that FINISHED have, and a picture of each curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ebmcore import ConfigError, EbmError, Launcher, Problem
from ebmcore.config import Config, Tracking
from ebmcore.distributed import RankInfo
from ebmcore.runner import Prepared, changes, compose, prepare, prepare_again, run_directory
from ebmcore.runs import RunDirectory, is_parent
from ebmcore.trackers import DestinationError, distrust, mlflow_keys, same_place, tracking_uri
from ebmcore.train import without_compiler
from ebmcore_sweep.launchers import (
    as_launcher,
    check_workers,
    record_launcher,
    recorded_launcher,
    shared_threads,
)
from ebmcore_sweep.parent import Parent
from ebmcore_sweep.seeds.group import Group
from ebmcore_sweep.seeds.group_run import GroupRun

GROUP = "seeds"
_MOST_SEEDS = 100_000
Versions = Literal["warn", "refuse", "ignore"]


def run_seeds(
    config: str | Path | Mapping[str, Any],
    seeds: int | Sequence[int],
    overrides: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[str] = (),
    runs_dir: str | Path | None = None,
    workers: int = 1,
    launcher: str | Mapping[str, Any] | Launcher = "local",
    progress: bool = True,
    strict_plugins: bool = False,
    versions: Versions = "warn",
    began: Callable[[Path], None] | None = None,
) -> Group:
    """Train a config once for each seed, and return the group of these runs.

    Args:
        config: A file, or the same as a mapping.
        seeds: How many, from the config's own seed on; or the seeds themselves.
        overrides: Dotted keys and values over the config.
        plugins: Names, `no:NAME` or local files, as `ebmcore run -p` takes them.
        runs_dir: Where all run directories go; by default EBMCORE_RUNS_DIR, else ./runs.
        workers: How many runs go on at once. One by default, since a run may take every core, the
            accelerator and its memory for itself, and its speed is among its metrics.
        launcher: What starts the runs: a launcher's name, a mapping with its `type` and keys, or
            the object.
        progress: Whether to tell how far the runs are, on standard error.
        strict_plugins: Whether any plugin that failed to load is an error.
        versions: What to do when the config is a recorded one and today's versions differ.
        began: Called with the parent's directory before the first run starts.

    Runs that fail are listed in `failed` and are no error unless all do. Raises ConfigError or
    PluginError before anything is written, RunError when all runs FAILED, RunInterrupted after a
    signal; `resume_seeds` then goes on.
    """
    RankInfo.require_one_process("an experiment of several seeds")
    prepared = prepare(config, overrides, plugins, strict_plugins=strict_plugins)
    record = prepared.config.record
    chosen = choose_seeds(seeds, record["seed"])
    check_workers(min(workers, len(chosen)), workers, launcher)
    changed = changes(prepared, versions)
    starter = as_launcher(prepared.host, launcher)
    _check(prepared)
    with _begin(prepared, chosen, workers, launcher, runs_dir) as parent:
        if began is not None:
            began(parent.path)
        for text in changed:
            parent.warn(text)
        asked = ["--strict-plugins"] if strict_plugins else []  # config.yaml names the plugins
        group = GroupRun(parent, asked, progress=progress)
        return group.run(chosen, starter, workers, shared_threads(launcher, workers))


def resume_seeds(
    run_dir: str | Path,
    *,
    plugins: Sequence[str] = (),
    workers: int | None = None,
    launcher: str | Mapping[str, Any] | Launcher | None = None,
    progress: bool = True,
    versions: Versions = "warn",
) -> Group:
    """Resume a group: first the children that have not FINISHED, then the parent.

    A child that was begun goes on from its last checkpoint, also one that FAILED; one whose process
    outlived the parent's is waited for; one that was never begun is begun. A parent that has
    FINISHED is returned as it is. Once its metrics were being written, its children stand.

    Workers and launcher are by default those it was begun with, the launcher only where this user's
    installation recorded it. No code from the directory is run:
    local plugin files are imported only when they are named in `plugins`. Raises EbmError when the
    directory is no such parent or another process is writing it, and otherwise as `run_seeds`.
    """
    RankInfo.require_one_process("an experiment of several seeds")
    directory = RunDirectory.open(run_directory(run_dir))
    facts = directory.read()
    seeds = facts.get("seeds")
    if not is_parent(facts) or facts["group"] != GROUP or not isinstance(seeds, list):
        raise EbmError(f"{run_dir}: is not the parent of runs with several seeds")
    if facts.get("status") == "FINISHED":
        return Group.load(directory.path)
    with directory:  # a live parent is refused before anything is built
        pass
    prepared, code = prepare_again(directory, plugins)
    changed = changes(prepared, versions)
    many = _recorded_workers(facts) if workers is None else workers
    recorded, warning = recorded_launcher(facts) if launcher is None else ("local", "")
    named = recorded if launcher is None else launcher
    check_workers(min(many, len(seeds)), many, named)
    starter = as_launcher(prepared.host, named)
    with Parent.resume(directory.path, prepared.config.tracking) as parent:
        for text in filter(None, (*changed, warning)):
            parent.warn(text)
        asked = [*_plugin_words(plugins), "--versions", versions]
        settings = ["plugins.files=[]", "plugins.modules=[]"] if code else []
        if (doubt := _children_doubt(parent, prepared.config)) is not None:
            parent.warn(f"runs that are begun now send nothing to MLflow: {doubt}")
            settings.append("tracking=off")
        group = GroupRun(parent, asked, progress=progress, settings=settings)
        return group.run(choose_seeds(seeds, 0), starter, many, shared_threads(named, many))


def _children_doubt(parent: Parent, config: Config) -> str | None:
    """Return why new children can't use the recorded trackers; None when they can.

    run.json and config.yaml may name different places, and each may be anybody's word.
    """
    names = {node.name for node in config.tracking} - {"mlflow"}
    if left := names - set(parent.followed):
        return f"only the directory names {', '.join(sorted(left))}"
    keys = mlflow_keys(config.record["tracking"])
    if keys is None:
        return None
    try:
        there = tracking_uri(Tracking(uri=keys.get("uri")))
    except DestinationError as error:
        return str(error)
    target = parent.mlflow_target
    if target is not None and same_place(there, target.uri):
        return None
    return distrust(there)


def choose_seeds(seeds: int | Sequence[int], first: int) -> tuple[int, ...]:
    """Return the seeds: so many from the first on, or those given.

    Raises ConfigError when they are fewer than two, repeat, are negative, or are absurdly many.
    """
    if isinstance(seeds, int) and seeds > _MOST_SEEDS:
        _refuse("seeds", f"should be at most {_MOST_SEEDS:,}, each a run of its own; got {seeds}")
    found = tuple(range(first, first + seeds)) if isinstance(seeds, int) else tuple(seeds)
    if any(isinstance(s, bool) or not isinstance(s, int) or s < 0 for s in found):
        _refuse("seeds", f"should be whole numbers from 0 on; got {list(found)}")
    if len(set(found)) < len(found):
        _refuse(
            "seeds",
            f"each should stand once, since the same seed repeats the same run; got {list(found)}",
        )
    if len(found) < 2:
        _refuse("seeds", f"should be at least 2, since one run has no spread; got {seeds}")
    return found


def _refuse(key: str, message: str) -> None:
    raise ConfigError([Problem(key, message)])


def _recorded_workers(facts: Mapping[str, Any]) -> int:
    found = facts.get("workers")
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 1


def _plugin_words(plugins: Iterable[str]) -> list[str]:
    return [word for name in plugins for word in ("-p", name)]


def _check(prepared: Prepared) -> None:
    """Assemble the components as a run does before it writes anything; raises as a run would."""
    with without_compiler():
        experiment = compose(*prepared, device="cpu")
        experiment.check(experiment.assemble(), prepared.config.train)


def _begin(
    prepared: Prepared,
    seeds: Sequence[int],
    workers: int,
    launcher: str | Mapping[str, Any] | Launcher,
    runs_dir: str | Path | None,
) -> Parent:
    return Parent.begin(
        GROUP,
        prepared.config.record,
        tracking=prepared.config.tracking,
        host=prepared.host,
        runs_dir=runs_dir,
        params={"seeds": ",".join(map(str, seeds))},
        seeds=list(seeds),
        workers=workers,
        **record_launcher(launcher),
    )
