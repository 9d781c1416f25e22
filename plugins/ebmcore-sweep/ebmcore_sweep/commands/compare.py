"""`ebmcore runs compare`: whether two groups of seeds differ by more than their spread."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from ebmcore import EbmError
from ebmcore.cli import Answer, AsJson, named_run, out, table


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="The directory of a group.")],
    second: Annotated[str, typer.Argument(metavar="B", help="That of another, or of one run.")],
    as_json: AsJson = False,
) -> Answer:
    """Compare the metrics of two groups, or of a group and a run."""
    from ebmcore_sweep.seeds.compare import compare_groups, has_group

    first, second = str(named_run(first)), str(named_run(second))
    if not has_group(first, second):
        raise EbmError(f"{first}, {second}: neither is a group of seeds; `runs diff` compares runs")
    found = compare_groups(first, second)
    return Answer({"a": first, "b": second, "metrics": found}, lambda: show_groups(found))


def show_groups(found: dict[str, dict[str, Any]]) -> None:
    """Print a comparison, and the tests that its verdicts rest on."""
    if not found:
        out("they have no metric in common")
    elif all("p" in row for row in found.values()):
        _show_two(found)
    else:
        _show_among(found)


def _show_two(found: dict[str, dict[str, Any]]) -> None:
    from ebmcore_sweep.seeds.compare import P_LEVEL

    rows = [
        (
            name, _spread(row["a"]), _spread(row["b"]), f"{row['difference']:+.4g}",
            _ends(row["low"], row["high"]), f"{row['p']:.3g}", row["verdict"],
        )
        for name, row in found.items()
    ]  # fmt: skip
    columns = ("last value of", "A", "B", "B - A", "95 % interval", "p", "")
    table(columns, rows)
    some = next(iter(found.values()))
    n, m, least = some["a"]["n"], some["b"]["n"], some["least_p"]
    out(
        "A and B: the median and its 95 % bootstrap interval, which is the range for fewer than 6 "
        "runs.\nB - A: of the medians, with its bootstrap interval. p: the exact two-sided "
        f"Mann-Whitney test; {n} v {m} runs can give {least:.3g} at least.\n"
        f"They differ where p < {P_LEVEL:g}; each metric is a test of its own, so of 20 that are "
        "alike one is expected to."
    )
    if least >= P_LEVEL:
        out(f"{n} v {m} runs are too few for any p < {P_LEVEL:g}: 4 v 4 are enough.")


def _show_among(found: dict[str, dict[str, Any]]) -> None:
    some = next(iter(found.values()))
    which, n = some["single"], some["runs"]["n"]
    rows = [
        (
            name, f"{row['value']:.4g}", f"{row['runs']['median']:.4g}",
            _ends(row["least"], row["most"]), row["where"],
        )
        for name, row in found.items()
    ]  # fmt: skip
    table(("last value of", which, f"median of {n}", f"range of {n}", f"{which} is"), rows)
    out(
        f"A further run of the same kind lies outside the range of {n} in "
        f"{some['by_chance_outside']:.0%} of cases."
    )


def _spread(found: dict[str, Any]) -> str:
    return f"{found['median']:.4g}  ({_ends(found['low'], found['high'])})"


def _ends(low: float, high: float) -> str:
    return "-" if math.isnan(low) or math.isnan(high) else f"{low:.4g} … {high:.4g}"
