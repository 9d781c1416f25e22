"""Many seeds as one experiment: child runs of one config, and a parent with what they share.

Each child is a run as `ebmcore run` makes it, in a process of its own, with its seed alone set over
the parent's config. When all have ended, the parent gets the median and its interval of each
metric at each step that all children that FINISHED have, and a picture of each curve.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ebmcore.config import Tracking
from ebmcore.contracts import Launcher, Task
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import ConfigError, EbmError, Problem, RunError, RunInterrupted
from ebmcore.runner.api import Prepared, changes, prepare, prepare_again
from ebmcore.runner.bands import Band, bands, draw, is_drawn, lines
from ebmcore.runner.compose import compose
from ebmcore.runner.crew import (
    as_launcher,
    check_workers,
    launcher_name,
    record_launcher,
    recorded_launcher,
    shared_threads,
    work,
)
from ebmcore.runner.group import Group
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.family import is_parent
from ebmcore.runs.jsonl import last_lines
from ebmcore.runs.layout import LOGS
from ebmcore.runs.status import Account
from ebmcore.terminal import say
from ebmcore.trackers.mlflow.parent import Parent
from ebmcore.trackers.mlflow.target import tracking_uri
from ebmcore.trackers.mlflow.trust import distrust
from ebmcore.trackers.mlflow.uris import DestinationError, same_place
from ebmcore.train.optim import without_compiler
from ebmcore.train.signals import Interrupts

GROUP = "seeds"
_TOLD = 10.0  # seconds between two lines that tell how far the children are
_MOST_SEEDS = 100_000
_ORPHANS = 0.5  # seconds between two looks at children of a parent that was killed
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
    """Train what a config says once for each seed, and return the group of these runs.

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
        began: Hears where the parent's directory is, before the first run is started.

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
        crew = _Crew(parent, asked, progress=progress)
        return crew.run(chosen, starter, workers, shared_threads(launcher_name(launcher), workers))


def resume_seeds(
    run_dir: str | Path,
    *,
    plugins: Sequence[str] = (),
    workers: int | None = None,
    launcher: str | Mapping[str, Any] | Launcher | None = None,
    progress: bool = True,
    versions: Versions = "warn",
) -> Group:
    """Go on with a group that was stopped: first the children that have not FINISHED, then it.

    A child that was begun goes on from its last checkpoint, also one that FAILED; one whose process
    outlived the parent's is waited for; one that was never begun is begun. A parent that has
    FINISHED is returned as it is. Once its metrics were being written, its children stand.

    Workers and launcher are by default those it was begun with, the launcher only where this user's
    installation recorded it. No code from the directory is run:
    local plugin files are imported only when they are named in `plugins`. Raises EbmError when the
    directory is no such parent or another process is writing it, and otherwise as `run_seeds`.
    """
    RankInfo.require_one_process("an experiment of several seeds")
    directory = RunDirectory.open(run_dir)
    facts = directory.read()
    seeds = facts.get("seeds")
    if not is_parent(facts) or facts["group"] != GROUP or not isinstance(seeds, list):
        raise EbmError(f"{run_dir}: is not the parent of runs with several seeds")
    if facts.get("status") == "FINISHED":
        return Group.load(run_dir)
    with directory:  # a live parent is refused before anything is built
        pass
    prepared, files = prepare_again(directory, plugins)
    changed = changes(prepared, versions)
    many = _recorded_workers(facts) if workers is None else workers
    recorded, warning = recorded_launcher(facts) if launcher is None else ("local", "")
    named = recorded if launcher is None else launcher
    check_workers(min(many, len(seeds)), many, named)
    starter = as_launcher(prepared.host, named)
    with Parent.resume(run_dir, prepared.config.tracking) as parent:
        for text in filter(None, (*changed, warning)):
            parent.warn(text)
        asked = [*_plugin_words(plugins), "--versions", versions]
        settings = ["plugins.files=[]"] if files else []
        if (doubt := _children_doubt(parent, prepared.config.tracking)) is not None:
            parent.warn(f"runs that are begun now send nothing to MLflow: {doubt}")
            settings.append("tracking=off")
        crew = _Crew(parent, asked, progress=progress, settings=settings)
        return crew.run(
            choose_seeds(seeds, 0), starter, many, shared_threads(launcher_name(named), many)
        )


def _children_doubt(parent: Parent, tracking: Tracking | None) -> str | None:
    """Say why children aren't begun with the recorded config's `tracking`; None when they may be.

    run.json and config.yaml may name different places, and each may be anybody's word.
    """
    if tracking is None:
        return None
    try:
        there = tracking_uri(tracking)
    except DestinationError as error:
        return str(error)
    mirror = parent.mirror
    if mirror is not None and same_place(there, mirror.remote.target.uri):
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
    """Put the parts together as a run does before it writes anything; raises as it would."""
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


class _Crew:
    """The children of one parent, from their start to what they have in common."""

    def __init__(
        self,
        parent: Parent,
        asked: Sequence[str],
        *,
        progress: bool,
        settings: Sequence[str] = (),
    ) -> None:
        self.parent = parent
        self.asked = asked  # options of each child's command
        self.settings = settings  # overrides of those that are begun
        self.progress = progress
        self.exits: dict[str, int | None] = {}
        self._next = time.monotonic() + _TOLD

    def run(
        self,
        seeds: Sequence[int],
        launcher: Launcher,
        workers: int,
        variables: Mapping[str, str],
    ) -> Group:
        """Run the children that have not FINISHED, then write what they have in common."""
        keys = {f"seed-{seed}": seed for seed in seeds}
        group = Group(self.parent.path)
        members = self.parent.directory.read().get("members")
        with Interrupts() as interrupts:
            if not isinstance(members, list):
                self._wait_for_orphans(keys, interrupts)
                there = self.parent.children()
                tasks = {
                    key: self._task(key, seed, there.get(key), variables)
                    for key, seed in keys.items()
                    if key not in there or there[key].status != "FINISHED"
                }
                self._tell(f"{len(keys)} seeds, {len(tasks)} to run, {workers} at once")
                work(
                    tasks, launcher, workers, interrupts,
                    started=lambda key: self._tell(f"{key}: started"), ended=self._ended,
                    looked=self._tell_how_far,
                )  # fmt: skip
            children = self.parent.children()
            finished = [
                key for key in keys if key in children and children[key].status == "FINISHED"
            ]
            group.failed = {
                key: self._why(key, children.get(key)) for key in keys if key not in finished
            }
            if interrupts.number is not None:
                self.parent.status = group.status = "KILLED"
                raise RunInterrupted(interrupts.number, group)
        return self._sum_up(group, children, finished)

    def _sum_up(self, group: Group, children: Mapping[str, Account], finished: list[str]) -> Group:
        for key, why in group.failed.items():
            self.parent.warn(f"{key} has not finished: {why}")
        group.warnings = self.parent.warnings
        if not finished:
            self.parent.status = group.status = "FAILED"
            whole = f"run {self.parent.path} FAILED: none of its {len(group.failed)} runs finished"
            first = next(iter(group.failed.values()))
            raise RunError(f"{whole}; the first: {first}", group)
        self.parent.update(members=finished, failed=group.failed)
        runs = [children[key].path for key in finished]
        if len(runs) == 1:
            self.parent.warn("one run alone finished, so there are no intervals")
        found = bands(runs)
        for step, epoch, metrics in lines(found):
            self.parent.write(step, metrics, epoch=epoch)
        self._draw(found, finished)
        group.metrics = dict(self.parent.metrics)
        group.children = {key: children[key].path for key in finished}
        group.status = self.parent.status
        return group

    def _draw(self, found: Sequence[Band], finished: Sequence[str]) -> None:
        for band in found:
            if is_drawn(band):
                seeds = [key.removeprefix("seed-") for key in finished]
                self.parent.draw(band.name, draw(band, seeds))

    def _task(
        self, key: str, seed: int, there: Account | None, variables: Mapping[str, str]
    ) -> Task:
        command = [sys.executable, "-m", "ebmcore"]
        if there is None or there.status == "BROKEN" or not self._is_beside(there):
            config = self.parent.directory.config_file.absolute()
            folder = self.parent.path.absolute().parent
            command += [
                "run",
                str(config),
                f"seed={seed}",
                *self.settings,
                "--runs-dir",
                str(folder),
            ]
        else:
            command += ["resume", str(there.path.absolute())]
        log = self.parent.path.absolute() / LOGS / f"{key}.txt"
        with self.parent.directory.inside.folder(LOGS, make=True):
            pass  # for launchers that don't make it
        return Task((*command, *self.asked), log, {**variables, **self.parent.environment(key)})

    def _is_beside(self, child: Account) -> bool:
        """Whether a child lies where this parent's are put, and not where somebody's note says."""
        return child.path.absolute().parent == self.parent.path.absolute().parent

    def _wait_for_orphans(self, keys: Iterable[str], interrupts: Interrupts) -> None:
        """Wait for children whose processes outlived their parent's, until they have ended."""
        told = False
        while interrupts.number is None:
            children = self.parent.children()
            alive = [key for key in keys if key in children and children[key].status == "RUNNING"]
            if not alive:
                return
            if not told:
                self._tell(f"{', '.join(alive)}: still going on, waited for")
                told = True
            time.sleep(_ORPHANS)

    def _ended(self, key: str, code: int | None) -> None:
        self.exits[key] = code
        child = self.parent.children().get(key)
        status = "not begun" if child is None else child.status
        self._tell(f"{key}: {status}")

    def _why(self, key: str, child: Account | None) -> str:
        log = self.parent.path / LOGS / f"{key}.txt"
        if child is not None:
            error = child.facts.get("error")
            return f"{child.status}{f': {error}' if isinstance(error, str) else ''} ({child.path})"
        try:
            said = [line for line in last_lines(log) if line.strip()]
        except FileNotFoundError:
            return "was not begun"
        except (OSError, EbmError) as error:
            return f"was not begun: {error}"
        return f"was not begun: {said[-1][:300]} ({log})" if said else "was not begun"

    def _tell_how_far(self) -> None:
        if time.monotonic() < self._next or not self.progress:
            return
        self._next = time.monotonic() + _TOLD
        for key, child in self.parent.children().items():
            if child.status == "RUNNING" and child.step is not None:
                loss = "" if child.loss is None else f"  loss {child.loss:.4g}"
                self._tell(f"{key}: step {child.step}/{child.steps}{loss}")

    def _tell(self, text: str) -> None:
        if self.progress:
            say(text)
