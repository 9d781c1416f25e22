"""Evaluation of a finished run: monitors on its trained energy, its data and fresh samples."""

from __future__ import annotations

import difflib
import itertools
import json
import math
import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from ebmcore.config import Node, read_nodes, read_train
from ebmcore.data.load import Data
from ebmcore.errors import (
    ComponentError,
    ConfigError,
    DirectoryError,
    EbmError,
    PluginError,
    Problem,
)
from ebmcore.monitoring.run import collect_results
from ebmcore.monitoring.step_work import StepWork
from ebmcore.monitoring.view import make_view
from ebmcore.plugins import Host
from ebmcore.run_contracts import NoSamplerError
from ebmcore.runner.checks.data_fit import check_monitor, refuse_misfits
from ebmcore.runner.checks.masks import mask_warnings
from ebmcore.runner.compose import monitor_entry
from ebmcore.runner.reopen import Facts, Given, Recorded
from ebmcore.runner.scoring import file_like
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.layout import EVALUATION, EVALUATION_PART, LOG
from ebmcore.sampling import evaluating
from ebmcore.terminal import clean
from ebmcore.trackers.mlflow.sync import show_evaluation
from ebmcore.train.components import MonitorEntry
from ebmcore.train.rng import derive, own_global_stream

_KEYS = ("monitors", "sampler", "chains")  # what may be set over the recorded config
_AGAINST = "against"  # where the other data stand, in messages
_JUDGE = "out_of_distribution"  # the monitor that tells other data from held-out points

Against = str | Path | Mapping[str, Any]  # other data: the path of a file, or a dataset's node


class Evaluation(NamedTuple):
    """The metrics of the monitors, and the paths of their pictures."""

    run_dir: Path
    step: int
    metrics: dict[str, float]  # <monitor>/<metric>
    figures: list[Path]
    warnings: list[str]
    failed: dict[str, str]  # monitor -> why
    left_out: dict[str, str]  # monitor -> why it has nothing to say of this run

    def document(self) -> dict[str, Any]:
        """Return it as JSON types."""
        numbers = {k: v if math.isfinite(v) else str(v) for k, v in self.metrics.items()}
        figures = [str(figure) for figure in self.figures]
        fixed = {"run_dir": str(self.run_dir), "metrics": numbers, "figures": figures}
        return {**self._asdict(), **fixed}


def evaluate(
    run_dir: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    checkpoint: str | int = "last",
    against: Against | Sequence[Against] = (),
    label: str | int | None = None,
    **given: Unpack[Given],
) -> Evaluation:
    """Run monitors on a finished run, and write what they find to `RUN_DIR/evaluation/`.

    The run in MLflow, if it has one, then shows that too, in `evaluate/`.

    Args:
        run_dir: The run's directory, or `last`.
        overrides: Dotted keys over the recorded config. `monitors` says which to run, by default
            every installed one that is meant for it (`evaluates = True`) and takes such events;
            `sampler` and `chains` draw the samples in place of the run's own.
        plugins: As `ebmcore run -p` takes them; local files of the run are imported only if named.
        seed: The same seed draws the same samples.
        device: Where to compute.
        checkpoint: The last one, the `best` one, or that of a step.
        against: Other data, one or several: the path of a file, which is read as the run's own file
            was, or a dataset's node such as `{"type": "digits"}`. The monitor `out_of_distribution`
            runs for each, beside the others: how well the energy tells its points from the held-out
            ones. Of several, each has its own name, `out_of_distribution.<name of the file>`.
        label: The column of the files in `against` that says 1 for an anomaly and 0 for others.
        given: Parts of a run that was made of objects and can't make them again: `data`, `energy`,
            `networks`, `transforms`, `sampler`, `chains`.

    Raises EbmError when the directory is no run, or lacks a part; ConfigError, PluginError.
    """
    facts = Facts.read(run_dir, device, checkpoint)
    for key in overrides or {}:
        if key.split(".")[0] not in _KEYS:
            near = difflib.get_close_matches(key.split(".")[0], _KEYS, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            message = f"can't be set for an evaluation. {hint}There are: {', '.join(_KEYS)}"
            raise ConfigError([Problem(key, message, "override")])
    recorded = Recorded(facts, plugins, overrides, given)
    train = read_train(recorded.source.tree.get("train") or {})
    data, energy = recorded.data(), recorded.energy
    sampler, chains = recorded.sampler(), recorded.chains()
    entries, left_out = _entries(recorded, data)
    unasked = {entry.name for entry in entries} if not _names_monitors(recorded) else set()
    several = [against] if isinstance(against, str | Path | Mapping) else against
    if label is not None and all(isinstance(other, Mapping) for other in several):
        raise ConfigError([Problem("label", "names a column of a file, and `against` has no file")])
    entries += _against(recorded, data, several, label, [entry.name for entry in entries])
    place = facts.folder / EVALUATION
    if place.exists() and not place.is_dir():
        raise EbmError(f"{place}: is in the way of the folder that is to be written; move it")
    directory = RunDirectory(facts.folder)
    files = directory.files
    try:
        with files.folder() as opened:
            opened.remove(EVALUATION_PART)
            opened.new_folder(EVALUATION_PART).close()
    except OSError as error:
        beside = facts.folder / EVALUATION_PART
        raise EbmError(f"{beside}: can't be made: {error.strerror or error}") from error
    figures: list[str] = []

    def write(name: str, png: bytes) -> None:
        files.replace(f"{EVALUATION_PART}/{name}", png)
        figures.append(name)

    metrics: dict[str, float] = {}
    warnings = [*facts.skipped_checkpoints, *data.changes]
    failed: dict[str, str] = {}
    step = facts.checkpoint.step
    epoch = step / max(1, data.n // train.batch_size)
    work = StepWork(lambda key: recorded.streams.derived(f"evaluate {seed} {key}"), facts.device)
    for entry in entries:
        warnings.extend(mask_warnings(entry, data))

        def warn(text: str, name: str = entry.name) -> None:
            warnings.append(f"{name}: {text}")

        generator = recorded.streams(f"evaluate {entry.name} {seed}")
        view = make_view(
            energy, data, sampler, chains, generator, work,
            step=step, epoch=epoch, warn=warn, networks=dict(recorded.networks),
        )  # fmt: skip
        try:
            with (
                own_global_stream(derive(seed, entry.name), facts.device),
                evaluating(energy),
            ):
                metrics |= collect_results(entry, entry.function(view), step, write)
        except DirectoryError:  # no fault of the monitor's
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, NoSamplerError) and entry.name in unasked:
                left_out[entry.name] = str(error)
                continue
            failed[entry.name] = str(ComponentError(entry.label, step, error))
            text = f"{failed[entry.name]}\n{traceback.format_exc()}\n"
            files.append(f"{EVALUATION_PART}/{LOG}", clean(text).encode())
    paths = [place / name for name in sorted(figures)]
    found = Evaluation(facts.folder, step, metrics, paths, warnings, failed, left_out)
    text = json.dumps(found.document(), indent=2) + "\n"
    directory.write(f"{EVALUATION_PART}/evaluation.json", text.encode())
    with files.folder() as opened:
        opened.remove(EVALUATION)
        opened.rename(EVALUATION_PART, EVALUATION)
    warnings.extend(show_evaluation(facts.folder))
    return found


def _entries(recorded: Recorded, data: Data) -> tuple[list[MonitorEntry], dict[str, str]]:
    """Build the monitors to run; give the reason for each that can't serve this run."""
    if _names_monitors(recorded):
        nodes = recorded.told_of_files(
            lambda: read_nodes(recorded.source, recorded.host, "monitor")
        )
        return [_entry(recorded, node, data) for node in nodes], {}
    entries: list[MonitorEntry] = []
    left_out: dict[str, str] = {}
    for name, type_ in _meant_for_it(recorded.host).items():
        tree = {**recorded.source.tree, "monitors": [{"type": type_, "name": name}]}
        source = recorded.source._replace(tree=tree, lines={})
        try:
            (node,) = read_nodes(source, recorded.host, "monitor")
            entries.append(_entry(recorded, node._replace(path=f"monitors.{name}"), data))
        except EbmError as error:
            problems = error.problems if isinstance(error, ConfigError) else ()
            left_out[name] = "; ".join(p.message for p in problems) or str(error)
    return entries, left_out


def _names_monitors(recorded: Recorded) -> bool:
    """Tell whether the user says which monitors to run."""
    return any(key.split(".")[0] == "monitors" for key in recorded.overrides)


def _against(
    recorded: Recorded,
    data: Data,
    several: Sequence[Against],
    label: str | int | None,
    taken: Sequence[str],
) -> list[MonitorEntry]:
    """Build the monitors that tell other data from the held-out points.

    Raises ConfigError when other data can't be read, or don't fit those of the run.
    """
    if not several:
        return []
    own = recorded.node("dataset", "data")
    itself = {"type": own.type, **{key: own.record[key] for key in own.values}}
    nodes: list[dict[str, Any]] = []
    for other in several:
        name = _own_name(other, len(several), [*taken, *(node["name"] for node in nodes)])
        dataset = other if isinstance(other, Mapping) else itself
        nodes.append({"type": _JUDGE, "name": name, "against": dataset})
    tree = {**recorded.source.tree, _AGAINST: nodes}
    source = recorded.source._replace(tree=tree, lines={})
    try:
        read = read_nodes(source, recorded.host, "monitor", _AGAINST)
        for i, other in enumerate(several):
            if not isinstance(other, Mapping):
                values = {**read[i].values, "against": _read_as_own(recorded, data, other, label)}
                read = (*read[:i], read[i]._replace(values=values), *read[i + 1 :])
        return [_entry(recorded, node, data) for node in read]
    except ConfigError as error:
        raise ConfigError(
            problem._replace(path=re.sub(rf"^({_AGAINST}\.\d+)\.against", r"\1", problem.path))
            for problem in error.problems
        ) from error


def _read_as_own(recorded: Recorded, data: Data, path: str | Path, label: str | int | None) -> Any:
    """Return a dataset that reads a file as the run's own dataset read its file."""
    source = getattr(data.source, "original", data.source)
    shape = data.event_shape if data.transforms is None else data.transforms.shapes[0]
    try:
        return file_like(source, path, shape, recorded.host, label)
    except EbmError as error:
        raise ConfigError([Problem(_AGAINST, str(error))]) from error


def _own_name(other: Against, several: int, taken: Sequence[str]) -> str:
    """Return the monitor's name in metrics; of several, each is named after its data."""
    if several == 1 and _JUDGE not in taken:
        return _JUDGE
    said = str(other.get("type")) if isinstance(other, Mapping) else Path(other).stem
    name = f"{_JUDGE}." + re.sub(r"[^\w. -]", "-", said)
    numbered = (f"{name}-{i}" for i in itertools.count(2))
    return name if name not in taken else next(n for n in numbered if n not in taken)


def _entry(recorded: Recorded, node: Node, data: Data) -> MonitorEntry:
    """Build a monitor. Raises EbmError when it can't be, or can't take events of this shape."""
    refuse_misfits([node], data.space, recorded.node("dataset", "data"), recorded.host)
    entry = monitor_entry(node, recorded.part(node))
    try:
        check_monitor(entry.function, data, recorded.energy)
    except Exception as error:
        raise ConfigError([Problem(node.path, str(error) or repr(error), node.where)]) from error
    return entry


def _meant_for_it(host: Host) -> dict[str, str]:
    """List the installed monitors that say `evaluates = True`: a name of its own, the full one."""
    found = []
    for component in host.components("monitor"):
        try:
            target = component.load()
        except PluginError:
            continue
        if getattr(target, "evaluates", False):
            found.append(component)
    names = [component.name for component in found]
    return {
        c.name if names.count(c.name) == 1 else f"{c.plugin.name}.{c.name}": c.full_name
        for c in found
    }
