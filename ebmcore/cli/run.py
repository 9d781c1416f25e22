"""`ebmcore run`: train what a config says."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from ebmcore.cli.groups import Launchers, Seeds, Workers, hand_over, refuse_without_seeds
from ebmcore.cli.output import (
    Answer,
    AsJson,
    DryRun,
    OtherVersions,
    Overrides,
    PluginOptions,
    RunsDir,
    Strict,
    Versions,
    answering,
    out,
    show_times,
    table,
)
from ebmcore.cli.shell.command_line import program
from ebmcore.errors import EbmError

if TYPE_CHECKING:
    from ebmcore.runner.run import Run


@answering
def command(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file.")],
    overrides: Overrides = None,
    plugins: PluginOptions = None,
    runs_dir: RunsDir = None,
    strict: Strict = False,
    versions: OtherVersions = Versions.WARN,
    dry_run: DryRun = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Write a profiler trace of some steps to the run.")
    ] = False,
    seeds: Seeds = None,
    workers: Workers = None,
    launcher: Launchers = None,
    as_json: AsJson = False,
) -> Answer:
    """Train the experiment that a config describes.

    Exit codes: 0 done, 1 failed, 2 wrong input, 130/143 interrupted.
    """
    if seeds is not None:
        if profile:
            raise EbmError("--profile: is for one run; leave --seeds out")
        return hand_over(
            "seeds",
            config=config,
            overrides=overrides,
            seeds=seeds,
            workers=workers,
            launcher=launcher,
            plugins=plugins,
            runs_dir=runs_dir,
            strict=strict,
            versions=versions,
            dry_run=dry_run,
        )
    refuse_without_seeds(workers=workers, launcher=launcher)
    from ebmcore.config import parse_assignments
    from ebmcore.runner.api import changes, prepare, run
    from ebmcore.runner.compose import compose
    from ebmcore.train.signals import save_only_while_training

    given = parse_assignments(overrides or [])
    if dry_run:
        prepared = prepare(config, given, plugins or (), strict_plugins=strict)
        changed = changes(prepared, versions.value)
        size = compose(*prepared, device="meta").dry_run(prepared.config.train)
        lines = [f"{key.replace('_', ' ')}: {value}" for key, value in size.items()]
        lines += [f"warning: {text}" for text in changed]
        return Answer(
            {"status": "FITS", **size, "config": prepared.config.record, "warnings": changed},
            lambda: out("\n".join(["all parts fit each other", *lines])),
        )
    with save_only_while_training():
        done = run(
            config,
            given,
            plugins=plugins or (),
            runs_dir=runs_dir,
            strict_plugins=strict,
            versions=versions.value,
            profile=profile,
        )
    return Answer(done.summary(), lambda: show_run(done), stays=True)


def show_run(run: Run) -> None:
    """Print a run's last metrics, and where all else of it is."""
    from ebmcore.trackers.files import pictures

    table(("metric", "last value"), [(k, f"{v:.6g}") for k, v in sorted(run.metrics.items())])
    show_times(run.seconds_by_part)
    out(f"run {run.status}: {run.dir}")
    if run.stopped:
        out(f"stopped at step {run.step}: {run.stopped}")
    if (run.dir / "profile.json").exists():
        out(f"profile: {run.dir / 'profile.json'} (open it at ui.perfetto.dev)")
    if found := pictures(run.dir):
        out(f"pictures: {run.dir / 'figures'} ({len(found)})")
    if run.mlflow_run_id is not None:
        facts = run.mlflow
        mlflow = shlex.join(program("mlflow"))
        out(f"MLflow:   {mlflow} ui --backend-store-uri {facts['uri']} --port 5000")
        page = f"experiments/{facts['experiment_id']}/runs/{facts['run_id']}"
        out(f"          then open http://127.0.0.1:5000/#/{page}")
