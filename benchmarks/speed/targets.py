"""The figures that were asked for, held against the measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from speed.results import Results, Spread

FIRST_STEP = "ebmcore run, to its first step"
IMPORT = "python -c 'import torch'"


class Target(NamedTuple):
    """One of them."""

    what: str
    asked: str
    found: str
    verdict: str


def targets(results: Results) -> list[Target]:
    """Return the targets whose measurements are there; the others are left out."""
    makers = (_step, _chains, _flat, _overhead, _quality, _startup)
    return [target for maker in makers for target in maker(results)]


def first_at(curve: Sequence[Sequence[float]], threshold: float) -> float | None:
    """Return the seconds at which a curve of [seconds, KL] first is as low as that."""
    return next((seconds for seconds, kl in curve if kl <= threshold), None)


def _judge(what: str, limit: float, found: float, unit: str, *, at_least: bool) -> Target:
    good = found >= limit if at_least else found <= limit
    asked = f"{'≥' if at_least else '≤'} {limit:g}{unit}"
    return Target(what, asked, f"{found:.2f}{unit}", "met" if good else "**not met**")


def _middle(results: Results, key: str = "seconds", **fields: object) -> float | None:
    found = results.spread(key, **fields)
    return None if found is None else found.middle


def _step(results: Results) -> list[Target]:
    ours = _middle(results, section="step", work="main", side="runner, compiled")
    if ours is None:
        return []
    apart = _middle(results, "monitors", section="step", work="main", side="runner, compiled")
    steps = results.seen("steps", event="block", work="main", side="runner, compiled")
    length = f", {steps[0]} steps a run" if steps else ""
    found = []
    for peer, limit, at_least in (("plain", 3, True), ("torchebm", 4, True), ("jax", 1, False)):
        theirs = _middle(results, section="step", work="main", side=peer)
        if theirs is None:
            continue
        for note, own in (("", ours - (apart or 0.0)), (f", monitors included{length}", ours)):
            ratio = theirs / own if at_least else own / theirs
            text = f"{peer}'s time over" if at_least else f"of {peer}'s time,"
            what = f"PCD step: {text} the full runner's, compiled{note}"
            found.append(_judge(what, limit, ratio, "×", at_least=at_least))
    return found


def _chains(results: Results) -> list[Target]:
    found = []
    for n in (128, 1000):
        ours = _middle(results, section="chains", n=n, side="library, compiled")
        jax = _middle(results, section="chains", n=n, side="jax")
        if ours and jax:
            what = f"Langevin step, {n} chains: of jax's time"
            found.append(_judge(what, 1.15, ours / jax, "×", at_least=False))
    return found


def _flat(results: Results) -> list[Target]:
    def each(n: int) -> float | None:
        took = _middle(results, section="chains", n=n, side="library, compiled")
        return None if took is None else took / n

    costs = [cost for cost in map(each, (1000, 10_000, 100_000)) if cost is not None]
    if len(costs) < 2:
        return []
    spread = max(costs) / min(costs)
    what = "cost of a chain, 1,000 to 100,000 chains: dearest over cheapest"
    return [Target(what, "flat", f"{spread:.2f}×", "")]


def _overhead(results: Results) -> list[Target]:
    full = _middle(results, "training", section="overhead", side="example")
    bare = _middle(results, "training", section="overhead", side="example, bare")
    if full is None or bare is None:
        return []
    (steps,) = results.seen("steps", section="overhead", event="block")
    what = f"five_gaussians, {steps:,} steps: share that tracking and monitors add to training"
    return [_judge(what, 3, 100 * (full / bare - 1), " %", at_least=False)]


def _quality(results: Results) -> list[Target]:
    def seconds(side: str, of: Callable[[list[list[float]]], float | None]) -> float | None:
        curves = [e["curve"] for e in results.where(section="quality", side=side) if "curve" in e]
        reached = [value for value in map(of, curves) if value is not None]
        spread = Spread.of(reached) if len(reached) == len(curves) else None
        return None if spread is None else spread.middle

    if not results.where(section="quality", side="example"):
        return []
    what = "five_gaussians to 0.05 nats: share of the tutorial's whole time"
    ours = seconds("example", lambda curve: first_at(curve, 0.05))
    theirs = seconds("tutorial", lambda curve: curve[-1][0])
    if theirs is None:
        return []
    if ours is None:
        return [Target(what, "≤ 0.2×", "not reached by every seed", "**not met**")]
    return [_judge(what, 0.2, ours / theirs, "×", at_least=False)]


def _startup(results: Results) -> list[Target]:
    def seconds(command: str) -> float | None:
        rounds = [e["rounds"] for e in results.where(section="startup", command=command)]
        found = Spread.of(rounds[0]) if rounds else None
        return None if found is None else found.middle

    found = []
    for command, limit in (("ebmcore --help", 0.25), ("ebmcore plugins list", 0.35)):
        took = seconds(command)
        if took is not None:
            found.append(_judge(f"`{command}`", limit, took, " s", at_least=False))
    first, bare = seconds(FIRST_STEP), seconds(IMPORT)
    if first is not None and bare is not None:
        what = "`ebmcore run` to its first step, over the import of torch"
        found.append(_judge(what, 2.0, first - bare, " s", at_least=False))
    return found
