"""The options of `run --seeds`, and what is shown of runs of several seeds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from ebmcore.cli.output import out, say, table
from ebmcore.errors import EbmError

if TYPE_CHECKING:
    from ebmcore.runner.group import Group

Seeds = Annotated[
    str | None,
    typer.Option(
        metavar="N|A,B,…",
        help="Train with N seeds from the config's on, or with these, as one experiment.",
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="With --seeds: how many runs go on at once; else 1.")
]
Launchers = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="With --seeds: what starts the runs; else local."),
]


def parse_seeds(text: str) -> int | list[int]:
    """Read `5`, how many, or `3,5,8`, which. Raises EbmError for anything else."""
    try:
        found = [int(word) for word in text.split(",")]
    except ValueError:
        raise EbmError(
            f"--seeds: should be how many, such as 5, or which, such as 3,5,8; got {text!r}"
        ) from None
    return found[0] if len(found) == 1 else found


def refuse_without_seeds(*, workers: int | None, launcher: str | None) -> None:
    """Raise EbmError when an option was given that speaks of several runs, where there is one."""
    for name, value in (("--workers", workers), ("--launcher", launcher)):
        if value is not None:
            raise EbmError(f"{name}: is for several runs; there is one without --seeds")


def show_group(group: Group) -> None:
    """Print the medians with their intervals, which runs there are, and where all of it is."""
    from ebmcore.trackers.mlflow.files import pictures

    spreads = group.spreads()
    n = len(group.children)
    rows = [(name, f"{s.median:.6g}", interval(s.low, s.high)) for name, s in spreads.items()]
    table((f"metric, {n} runs", "median", interval_name(n)), rows)
    for key, why in group.failed.items():
        say(f"{key}: {why}")
    of = n + len(group.failed)
    out(f"run {group.status}, {n} of {of} seeds finished: {group.dir}")
    if found := pictures(group.dir):
        out(f"pictures: {group.dir / 'figures'} ({len(found)})")


def interval(low: float, high: float) -> str:
    """Return an interval as text; there is none of one value."""
    return "-" if math.isnan(low) or math.isnan(high) else f"{low:.6g} … {high:.6g}"


def interval_name(n: int) -> str:
    """Say what the interval of the median of n values is."""
    return "95 % interval of the median" if n >= 6 else "95 % interval (of fewer than 6: the range)"
