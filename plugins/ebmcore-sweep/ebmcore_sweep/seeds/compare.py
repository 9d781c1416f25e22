"""Comparisons of groups: whether their metrics differ by more than the runs of each do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ebmcore import EbmError
from ebmcore.runs import is_seed_group, read_account
from ebmcore_sweep.seeds.curves import final
from ebmcore_sweep.seeds.group import Group
from ebmcore_sweep.seeds.statistics import compare, spread

P_LEVEL = 0.05  # p below which two groups are said to differ
_SPEED = "train/"  # metrics of a run's pace, which tell of the machine


def compare_groups(first: str, second: str) -> dict[str, dict[str, Any]]:
    """Compare the last metrics of two runs, of which one at least is a parent of several seeds.

    Two parents: for each metric both medians with their intervals, their difference B - A with a
    95 % bootstrap interval, and the exact two-sided Mann-Whitney test. A parent and a single run:
    where the single value stands among the parent's. Raises EbmError when a parent has no runs.
    """
    one, two = _finals(first), _finals(second)
    names = [name for name in sorted(one) if name in two and not name.startswith(_SPEED)]
    if is_seed_group(first) and is_seed_group(second):
        return {name: _two(one[name], two[name]) for name in names}
    if is_seed_group(first):
        return {name: _among(two[name][0], one[name], "B") for name in names}
    return {name: _among(one[name][0], two[name], "A") for name in names}


def has_group(*run_dirs: str) -> bool:
    """Say whether one of these is the parent of several seeds."""
    return any(map(is_seed_group, run_dirs))


def _finals(run_dir: str) -> dict[str, list[float]]:
    if not is_seed_group(run_dir):
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
    if p < P_LEVEL:
        return "differ"
    return "too few to tell" if least >= P_LEVEL else "not seen to differ"


def _among(value: float, runs: list[float], which: str) -> dict[str, Any]:
    """Return where a value lies among those of n runs.

    If it is a draw of their law, it lies outside their range with probability 2 / (n + 1).
    """
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
