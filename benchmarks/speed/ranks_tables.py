"""The tables of training on several ranks."""

from __future__ import annotations

from statistics import median

from speed.results import Results, Spread, digits


def ranks_tables(results: Results) -> list[str]:
    """Return the lines of the scaling tables; none when that section was not measured."""
    lines = [*_training(results), "", *_reduce(results)]
    return lines if results.where(section="scaling") else []


def figures(results: Results) -> dict[str, str]:
    """Numbers of the model of the cost: t(N) = t₀ + c B/N + 2 (N-1) (α + 4 P / (N β))."""
    small, large = 128, 1024  # batches of the rows of one rank
    one = {"section": "scaling", "hidden": "128-128", "ranks": 1}
    ms = {b: results.values("seconds", **one, batch=b) for b in (small, large)}
    took = {b: median(found) * 1e3 for b, found in ms.items()}
    c = (took[large] - took[small]) / (large - small)
    start = took[small] - small * c
    reduced = {e["numbers"]: e["seconds"] for e in results.where(event="reduce")}
    few, many = min(reduced), max(reduced)
    latency = reduced[few] / 2
    bandwidth = 4 * many / (reduced[many] - reduced[few])
    parameters = 17_000

    def step(ranks: int) -> str:
        meeting = 2 * (ranks - 1) * (latency + 4 * parameters / (ranks * bandwidth))
        return f"{start + c * large / ranks + meeting * 1e3:.0f}"

    return {
        "scaling, t₀": f"{start:.0f} ms",
        "scaling, c": f"{c:.3f} ms",
        "scaling, t₀ of 128": f"{start / took[small]:.2f}",
        "scaling, t₀ of 1024": f"{start / took[large]:.2f}",
        "scaling, α": f"{latency * 1e3:.2f} ms",
        "scaling, β": f"{bandwidth / 1e9:.1f} GB/s",
        "scaling, 1024 on one": f"{took[large]:.0f}",
        "scaling, 1024 on several": ", ".join(map(step, (2, 4, 8, 16))),
    }


def _training(results: Results) -> list[str]:
    lines = [
        "### Strong and weak scaling on one machine",
        "",
        "| MLP, batch of all ranks | ranks | ms a step | of it meeting | events/s to one's |",
        "| --- | --- | --- | --- | --- |",
    ]
    for hidden in results.seen("hidden", section="scaling"):
        here = {"section": "scaling", "hidden": hidden}
        cases = {(e["kind"], e["batch"], e["ranks"]) for e in results.where(**here)}
        for kind, batch, ranks in sorted(cases, key=lambda case: (case[2], case[1])):
            case = {**here, "kind": kind, "batch": batch, "ranks": ranks}
            took, met = results.spread(**case), results.spread("meeting", **case)
            title = f"2-{hidden}-1, {batch}{'' if ranks == 1 else f' ({kind})'}"
            if took is None or met is None:
                lines.append(f"| {title} | {ranks} | {results.trouble(**case)} | | |")
                continue
            shown = digits(met.middle * 1e3) if ranks > 1 else ""
            lines.append(
                f"| {title} | {ranks} | {took.text(1e3)} | {shown} | "
                f"{_gain(results, hidden, batch, kind, ranks, took)} |"
            )
    return lines


def _gain(results: Results, hidden: str, batch: int, kind: str, ranks: int, took: Spread) -> str:
    """Return the events a second over those of one rank, with the same batch or a share of it."""
    of = batch // ranks if kind == "weak" else batch
    one = results.spread(section="scaling", hidden=hidden, batch=of, ranks=1)
    if one is None or ranks == 1:
        return ""
    return f"{(batch / took.middle) / (of / one.middle):.2f}×"


def _reduce(results: Results) -> list[str]:
    rows = results.where(section="scaling", event="reduce")
    if not rows:
        return []
    lines = [
        "### The all-reduce of a step alone, gloo, two ranks",
        "",
        "| numbers | ms |",
        "| --- | --- |",
    ]
    for row in rows:
        found = digits(row["seconds"] * 1e3) if "seconds" in row else f"failed: {row['failed']}"
        lines.append(f"| {row.get('numbers', 0):,} | {found} |")
    return lines
