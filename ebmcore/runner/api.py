"""The Python API: `run` trains a config, `resume` and `load` open a run directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from torch import nn

from ebmcore.checkpoint.weights_only import is_weights_only
from ebmcore.config import (
    Config,
    Source,
    apply_overrides,
    plugin_selection,
    read_config,
    validate,
)
from ebmcore.distributed.comm import joined
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import ConfigError, EbmError, PluginError, Problem
from ebmcore.plugins import Host, Selection
from ebmcore.plugins.read_only import read_only
from ebmcore.runner.compose import compose
from ebmcore.runner.experiment import Experiment
from ebmcore.runner.hooks.calls import calls
from ebmcore.runner.named_run import run_directory
from ebmcore.runner.reopen import (
    Facts,
    Given,
    MissingPartError,
    Recorded,
    refuse_masked,
    trust,
    without_files,
)
from ebmcore.runner.run import Listener, Run
from ebmcore.runner.run_record import without_modules
from ebmcore.runner.scoring import RunData
from ebmcore.runs.directory import RunDirectory, read_recorded
from ebmcore.runs.parent_child import is_parent
from ebmcore.runs.provenance import changes_since
from ebmcore.trackers.entry import as_trackers
from ebmcore.trackers.mlflow.model.needed import MADE, missing_parts

T = TypeVar("T")


class Prepared(NamedTuple):
    """A validated config, with the plugins that it was validated against."""

    config: Config
    host: Host
    source: Source


def prepare(
    config: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
    *,
    strict_plugins: bool = False,
) -> Prepared:
    """Read, override, load the plugins and validate. Raises ConfigError or PluginError."""
    source = apply_overrides(read_config(config), overrides or {})
    if source.name:
        source.tree.setdefault("name", Path(source.name).stem.replace("_", "-"))
    return prepare_source(source, plugins, strict_plugins=strict_plugins)


def prepare_source(
    source: Source, plugins: Sequence[str] = (), *, strict_plugins: bool = False
) -> Prepared:
    """Load the plugins of a config that was read, and validate it.

    Raises ConfigError when a password in it was masked, as a run records it; that of the tracking
    server may come from the environment.
    """
    refuse_masked(source)
    selection = plugin_selection(source).merged(Selection.from_options(plugins))
    host = Host.discover(selection)
    host.check(selection, strict=strict_plugins)
    validated = validate(source, host, selection)
    seen = read_only(validated.record)
    for call in calls(host, "ebmcore_configure"):
        try:
            call.function(**dict.fromkeys(call.argnames, seen))
        except ValueError as error:
            message = f"refused by plugin {call.plugin_name!r}: {error}"
            raise ConfigError([Problem("", message, source.name)]) from error
        except (Exception, SystemExit) as error:
            message = f"plugin {call.plugin_name!r} raised in ebmcore_configure: {error!r}"
            raise PluginError(message) from error
    return Prepared(validated, host, source)


def run(
    config: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[str] = (),
    runs_dir: str | Path | None = None,
    progress: bool = True,
    profile: bool = False,
    strict_plugins: bool = False,
    versions: Literal["warn", "refuse", "ignore"] = "warn",
    listener: Listener | None = None,
) -> Run:
    """Train the experiment that a config describes, and return the run.

    Args:
        config: A file, or the same as a mapping.
        overrides: Dotted keys and values over it: `{"train.epochs": 5}`.
        plugins: Names, `no:NAME` or local files, as `ebmcore run -p` takes them.
        runs_dir: Where the run directory goes; by default EBMCORE_RUNS_DIR, else ./runs.
        progress: Whether to show how far the run is, on standard error.
        profile: Whether to write a torch profiler trace of some steps to the run's profile.json.
        strict_plugins: Whether any plugin that failed to load is an error.
        versions: What to do when the config is a recorded one, `RUN_DIR/config.yaml`, and the
            versions or the content of its plugins differ from today's.
        listener: Is called with the run's metrics, and may end it early.

    One run at a time in a process: torch's global generators, which a run borrows and gives back,
    belong to the whole process. Raises ConfigError or PluginError before anything is written,
    RunError when the run FAILED, RunInterrupted after a signal.
    """
    with joined() as ranks:
        with ranks.share_errors():
            prepared = prepare(config, overrides, plugins, strict_plugins=strict_plugins)
            experiment = _composed(prepared, ranks.info, versions, listener)
        train, tracking = prepared.config.train, as_trackers(prepared.config.tracking)
        return experiment.run_with(
            train, tracking, ranks, runs_dir=runs_dir, progress=progress, profile=profile
        )


def resume(
    run_dir: str | Path,
    *,
    plugins: Sequence[str] = (),
    progress: bool = True,
    versions: Literal["warn", "refuse", "ignore"] = "warn",
    listener: Listener | None = None,
) -> Run:
    """Resume a run that was killed or failed, from its last whole checkpoint.

    On the same versions and device it ends with the same weights, chains and metrics, bit for bit,
    as if it had never been stopped; a run that has FINISHED is returned as it is. No code from the
    directory is run: local plugin files of the run are imported only when they are named in
    `plugins`, as `run` takes them.

    `run_dir` is a path, `last`, or a run in MLflow, as `ebmcore resume` takes it.
    Raises EbmError when the directory is no run, another process is writing it, or its checkpoint
    is of other parts; RunError and RunInterrupted as `run` does.
    """
    with joined() as ranks:
        with ranks.share_errors():
            directory = RunDirectory.open(run_directory(run_dir, to_resume=True))
            facts = directory.read()
            if is_parent(facts):
                raise EbmError(
                    f"{run_dir}: is the parent of other runs; resume_seeds goes on with one of "
                    "seeds, and the command it was begun by with any other"
                )
            # all ranks do what rank 0 read, whatever it writes meanwhile
            if ranks.broadcast_text(str(facts.get("status"))) == "FINISHED":
                # it may be where nothing can be written
                return load(directory.path, plugins=plugins)
            if is_weights_only(directory.checkpoints):
                raise EbmError(
                    f"{directory.path}: holds the run's weights alone, which score and sample; "
                    "resume it where it was trained, or train with tracking.checkpoints: last, "
                    "which sends all that resuming takes"
                )
            with directory if ranks.rank == 0 else nullcontext():  # a live run is refused at once
                facts = directory.read()
            if not facts.get("from_config"):
                _refuse_missing(directory)
            prepared, _ = prepare_again(directory, plugins)
            experiment = _composed(prepared, ranks.info, versions, listener)
        train, tracking = prepared.config.train, as_trackers(prepared.config.tracking)
        return experiment.run_with(train, tracking, ranks, resumed=directory, progress=progress)


def _refuse_missing(directory: RunDirectory) -> None:
    """Raise EbmError for a run of objects that its record alone can't resume, and say why."""
    tree = directory.read_config()
    whys = [f"{key}: {why}" for key, why in missing_parts(tree).items()]
    if MADE not in tree:
        whys = [f"its run.json says so, and its config names no {MADE}"]
    if not whys and not any(directory.checkpoints.glob("step-*")):
        whys = [
            "it ended before its first checkpoint, and only your objects have its first weights"
        ]
    if whys:
        raise EbmError(
            f"{directory.path}: made of objects; make the same Experiment again and call its "
            f"resume(), since the record can't do it alone. {'; '.join(whys)}"
        )


def _composed(
    prepared: Prepared, rank_info: RankInfo, versions: str, listener: Listener | None
) -> Experiment:
    """Build the experiment of a config, with warnings of versions that differ, and a listener.

    Raises EbmError when a listener is given on several ranks, which can't end early.
    """
    changed = changes(prepared, versions)
    experiment = compose(*prepared, rank_info=rank_info)
    experiment.warnings.extend(changed)
    if listener is not None and rank_info.size > 1:
        raise EbmError(
            "a run with a listener, such as a trial of a sweep, trains in one process; "
            f"here are {rank_info.size} ranks"
        )
    experiment.listener = listener
    return experiment


def prepare_again(
    directory: RunDirectory, plugins: Sequence[str]
) -> tuple[Prepared, Sequence[str]]:
    """Validate the config of a run to resume; return it, and the files and modules that it names.

    These are left out, unless `plugins` names them as well. Raises ConfigError or PluginError, and
    EbmError when a part may be missing for that reason.
    """
    source = read_recorded(directory.path)
    modules = without_modules(source.tree, directory.read())
    source.tree.pop(MADE, None)
    files = without_files(source)
    try:
        return prepare_source(source, plugins), [*files, *modules]
    except ConfigError as error:
        if not (files or modules):
            raise
        raise EbmError(trust(error, source, files, modules)) from error


def changes(prepared: Prepared, versions: str) -> list[str]:
    """List the differences between today's versions and those of the run that recorded a config.

    `versions` is warn, refuse or ignore. Raises ConfigError when it says refuse and they differ, or
    the run recorded no versions.
    """
    if versions == "ignore":
        return []
    refuse = versions == "refuse"
    found = changes_since(prepared.source.name, prepared.host, must_know=refuse)
    if refuse and found:
        raise ConfigError([Problem("", text, prepared.source.name) for text in found])
    return found


def load(
    run_dir: str | Path,
    *,
    plugins: Sequence[str] = (),
    energy: nn.Module | None = None,
    networks: Mapping[str, nn.Module] | None = None,
    transforms: Sequence[Any] = (),
    sampler: Any = None,
    chains: Any = None,
    data: Any = None,
    device: str = "auto",
    checkpoint: str | int = "last",
) -> Run:
    """Open a run: its energy with the trained weights, its sampler and chains.

    `run_dir` is a path, or `last`: the newest run in EBMCORE_RUNS_DIR, else ./runs.

    The checkpoint is the last one, the `best` one (of train.keep_best), or that of a step. One
    that was truncated or altered since is skipped, and the run's `skipped_checkpoints` names it.

    Local plugin files that the run was made with are code; they are only imported when they are
    named in `plugins`. The parts of a run of objects are made again where that is possible; hand
    over the others: `energy`, `networks`, `transforms`, for samples `sampler` and `chains`, for
    percentiles `data`. They get the trained weights and states.
    Raises EbmError when the directory is no run or its checkpoint is not whole.
    """
    facts = Facts.read(run_dir, device, checkpoint)
    given = Given(data=data, networks=networks or None, transforms=transforms or None)
    given |= Given(energy=energy, sampler=sampler, chains=chains)
    recorded = Recorded(facts, plugins, given=given)
    lacks: list[str] = []

    def optional(part: Callable[[], T]) -> T | None:
        try:
            return part()
        except MissingPartError as error:
            lacks.append(str(error))
        except EbmError:
            if energy is None:
                raise
        return None

    run = Run(
        facts.folder,
        recorded.energy,
        bounds=facts.bounds,
        space=facts.space,
        sampler=optional(recorded.sampler),
        chains=optional(recorded.chains),
        masks=facts.masks,
        networks=recorded.networks if energy is None else optional(lambda: recorded.networks),
        transforms=recorded.transforms,
        seed=facts.run["seed"],
    )
    run.lacks = " ".join(lacks)
    if "data" not in recorded.missing or data is not None:
        run.data = RunData(facts.columns, recorded.data, recorded.dataset, recorded.host)
        run.read_rows = recorded.rows
    run.status = facts.run["status"]
    run.step = facts.checkpoint.step
    run.metrics = facts.run["metrics"]
    run.warnings = facts.run["warnings"]
    run.stopped = str(facts.run.get("stopped") or "")
    run.skipped_checkpoints = facts.skipped_checkpoints
    run.mlflow = facts.run["mlflow"]
    return run
