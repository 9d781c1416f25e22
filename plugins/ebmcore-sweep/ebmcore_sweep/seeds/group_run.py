"""The work of a group: it starts the runs, waits for them, and records their medians."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence

from ebmcore import EbmError, Launcher, RunError, RunInterrupted, Task
from ebmcore.runs import LOGS, Account, last_lines
from ebmcore.terminal import say
from ebmcore.train import Interrupts
from ebmcore_sweep.parent import Parent
from ebmcore_sweep.pool import run_tasks
from ebmcore_sweep.seeds.curves import Band, bands, draw, is_drawn, lines
from ebmcore_sweep.seeds.group import Group

_TOLD = 10.0  # seconds between two progress lines of the children
_ORPHANS = 0.5  # seconds between two polls of the children of a parent that was killed


class GroupRun:
    """The children of one parent, from their start to their medians."""

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
        """Run the children that have not FINISHED, then write their medians."""
        keys = {f"seed-{seed}": seed for seed in seeds}
        group = Group(self.parent.path)
        members = self.parent.directory.read().get("members")
        self.parent.wait_until_shown()
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
                run_tasks(
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
        with self.parent.directory.files.folder(LOGS, make=True):
            pass  # for launchers that don't make it
        return Task((*command, *self.asked), log, {**variables, **self.parent.environment(key)})

    def _is_beside(self, child: Account) -> bool:
        """Tell whether a child's directory lies beside its parent's, as its note may not."""
        return child.path.absolute().parent == self.parent.path.absolute().parent

    def _wait_for_orphans(self, keys: Iterable[str], interrupts: Interrupts) -> None:
        """Wait for children whose processes outlived their parent's, until they have ended."""
        announced = False
        while interrupts.number is None:
            children = self.parent.children()
            alive = [key for key in keys if key in children and children[key].status == "RUNNING"]
            if not alive:
                return
            if not announced:
                self._tell(f"{', '.join(alive)}: still going on, waited for")
                announced = True
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
            lines = [line for line in last_lines(log) if line.strip()]
        except FileNotFoundError:
            return "was not begun"
        except (OSError, EbmError) as error:
            return f"was not begun: {error}"
        return f"was not begun: {lines[-1][:300]} ({log})" if lines else "was not begun"

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
