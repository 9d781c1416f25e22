"""What `runs diff` says of runs of several seeds: whether they differ by more than their spread."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ebmcore.cli.output import out, table
from ebmcore.errors import EbmError

_LEVEL = 0.05  # p below which two groups are said to differ
_SPEED = "train/"  # metrics of a run's pace, which tell of the machine


def compare_groups(first: str, second: str) -> dict[str, dict[str, Any]]:
    """Compare the last metrics of two runs, of which one at least is a parent of several seeds.

    Two parents: for each metric both medians with their intervals, their difference B - A with a
    95 % bootstrap interval, and the exact two-sided Mann-Whitney test. A parent and a single run:
    where the single value stands among the parent's. Raises EbmError when a parent has no runs.
    """
    one, two = _finals(first), _finals(second)
    names = [name for name in sorted(one) if name in two and not name.startswith(_SPEED)]
    if _is_group(first) and _is_group(second):
        return {name: _two(one[name], two[name]) for name in names}
    if _is_group(first):
        return {name: _among(two[name][0], one[name], "B") for name in names}
    return {name: _among(one[name][0], two[name], "A") for name in names}


def has_group(*run_dirs: str) -> bool:
    """Say whether one of these is the parent of several seeds."""
    return any(map(_is_group, run_dirs))


def show_groups(found: dict[str, dict[str, Any]]) -> None:
    """Print a comparison, and what its words rest on."""
    if not found:
        out("they have no metric in common")
    elif all("p" in row for row in found.values()):
        _show_two(found)
    else:
        _show_among(found)


def _is_group(run_dir: str) -> bool:
    from ebmcore.runs.family import is_parent
    from ebmcore.runs.status import read_account

    facts = read_account(run_dir).facts
    return is_parent(facts) and facts["group"] == "seeds"


def _finals(run_dir: str) -> dict[str, list[float]]:
    from ebmcore.runner.bands import final
    from ebmcore.runner.group import Group
    from ebmcore.runs.status import read_account

    if not _is_group(run_dir):
        metrics = read_account(run_dir).facts.get("metrics")
        return {k: [v] for k, v in final(metrics if isinstance(metrics, dict) else {}).items()}
    found = Group.load(run_dir).finals()
    if not found:
        raise EbmError(
            f"{Path(run_dir)}: none of its runs has finished under it, so there is no spread; "
            f"`ebmcore resume {run_dir}` goes on with it"
        )
    return found


def _two(a: list[float], b: list[float]) -> dict[str, Any]:
    from ebmcore.runner.spread import compare, spread

    difference = compare(a, b)
    return {
        "a": spread(a)._asdict(),
        "b": spread(b)._asdict(),
        **difference._asdict(),
        "verdict": _verdict(difference.p, difference.least_p),
    }


def _verdict(p: float, least: float) -> str:
    if math.isnan(p):
        return "not a number"
    if p < _LEVEL:
        return "differ"
    return "too few to tell" if least >= _LEVEL else "not seen to differ"


def _among(value: float, runs: list[float], which: str) -> dict[str, Any]:
    """Say where a value stands among those of n runs.

    If it is a draw of their law, it lies outside their range with probability 2 / (n + 1).
    """
    from ebmcore.runner.spread import spread

    found = spread(runs)
    least, most = min(runs), max(runs)
    if math.isnan(value) or math.isnan(found.median):
        where = "not a number"
    elif value < least:
        where = "below all"
    else:
        where = "above all" if value > most else "within"
    return {
        "single": which, "value": value, "runs": found._asdict(), "least": least, "most": most,
        "where": where, "by_chance_outside": 2 / (len(runs) + 1),
    }  # fmt: skip


def _show_two(found: dict[str, dict[str, Any]]) -> None:
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
        f"They differ where p < {_LEVEL:g}; each metric is a test of its own, so of 20 that are "
        "alike one is expected to."
    )
    if least >= _LEVEL:
        out(f"{n} v {m} runs are too few for any p < {_LEVEL:g}: 4 v 4 are enough.")


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
