"""`ebmcore seeds`: train a config with several seeds and report medians and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ebmcore import EbmError
from ebmcore.cli import (
    Answer,
    AsJson,
    DryRun,
    OtherVersions,
    Overrides,
    PluginOptions,
    RunsDir,
    Strict,
    Versions,
    named_run,
    out,
    say,
    table,
)

if TYPE_CHECKING:
    from ebmcore.runner import Prepared
    from ebmcore_sweep.seeds.group import Group


def command(
    config: Annotated[str | None, typer.Argument(metavar="[CONFIG]", help="A YAML file.")] = None,
    overrides: Overrides = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "-n", "--seeds", metavar="N|A,B,…", help="N seeds from the config's on, or these."
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN_DIR", help="Go on with this group, or `last`, in place of CONFIG."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many runs go on at once; else 1.")
    ] = None,
    launcher: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which launcher starts the runs; else local.")
    ] = None,
    plugins: PluginOptions = None,
    runs_dir: RunsDir = None,
    strict: Strict = False,
    versions: OtherVersions = Versions.WARN,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> Answer:
    """Train a config with several seeds as one experiment.

    It reports medians, intervals and curves of the metrics.

    Exit codes: 0 done, 1 no run finished, 2 wrong input, 130/143 interrupted.
    """
    if (config is None) == (resume is None):
        raise EbmError("give either a CONFIG or --resume RUN_DIR")
    from ebmcore.config import parse_assignments
    from ebmcore.runner import prepare
    from ebmcore_sweep.seeds.api import choose_seeds, resume_seeds, run_seeds

    if resume is not None:
        _refuse_with_resume({"-n": seeds, "--runs-dir": runs_dir, "--dry-run": dry_run or None})
        group = resume_seeds(
            named_run(resume),
            plugins=plugins or (),
            workers=workers,
            launcher=launcher,
            versions=versions.value,
        )
        return Answer(group.summary(), lambda: show_group(group), stays=True)
    assert config is not None
    if seeds is None:
        raise EbmError("-n: say how many seeds, such as 5, or which, such as 3,5,8")
    chosen = parse_seeds(seeds)
    given = parse_assignments(overrides or [])
    if dry_run:
        prepared = prepare(config, given, plugins or (), strict_plugins=strict)
        which = choose_seeds(chosen, prepared.config.record["seed"])
        return _dry_run(prepared, which, versions)
    group = run_seeds(
        config,
        chosen,
        given,
        plugins=plugins or (),
        runs_dir=runs_dir,
        workers=workers or 1,
        launcher=launcher or "local",
        strict_plugins=strict,
        versions=versions.value,
    )
    return Answer(group.summary(), lambda: show_group(group), stays=True)


def parse_seeds(text: str) -> int | list[int]:
    """Read the number of seeds, `5`, or a list, `3,5,8`. Raises EbmError for anything else."""
    try:
        found = [int(word) for word in text.split(",")]
    except ValueError:
        raise EbmError(
            f"--seeds: should be how many, such as 5, or which, such as 3,5,8; got {text!r}"
        ) from None
    return found[0] if len(found) == 1 else found


def show_group(group: Group) -> None:
    """Print the medians with their intervals, the runs that failed, and the directory."""
    from ebmcore.trackers import pictures

    spreads = group.spreads()
    n = len(group.children)
    rows = [(name, f"{s.median:.6g}", _interval(s.low, s.high)) for name, s in spreads.items()]
    which = (
        "95 % interval of the median" if n >= 6 else "95 % interval (of fewer than 6: the range)"
    )
    table((f"metric, {n} runs", "median", which), rows)
    for key, why in group.failed.items():
        say(f"{key}: {why}")
    of = n + len(group.failed)
    out(f"run {group.status}, {n} of {of} seeds finished: {group.dir}")
    if found := pictures(group.dir):
        out(f"pictures: {group.dir / 'figures'} ({len(found)})")


def _interval(low: float, high: float) -> str:
    """Return an interval as text; there is none of one value."""
    return "-" if math.isnan(low) or math.isnan(high) else f"{low:.6g} … {high:.6g}"


def _dry_run(prepared: Prepared, seeds: Sequence[int], versions: Versions) -> Answer:
    from ebmcore.runner import changes, compose

    changed = changes(prepared, versions.value)
    size = compose(*prepared, device="meta").dry_run(prepared.config.train)
    facts = {**size, "seeds": list(seeds)}
    lines = [f"{key.replace('_', ' ')}: {value}" for key, value in facts.items()]
    lines += [f"warning: {text}" for text in changed]
    return Answer(
        {"status": "FITS", **facts, "config": prepared.config.record, "warnings": changed},
        lambda: out("\n".join(["all parts fit each other", *lines])),
    )


def _refuse_with_resume(given: dict[str, object]) -> None:
    for name, value in given.items():
        if value is not None:
            raise EbmError(f"{name}: --resume goes on with a group as it was begun; leave it out")
