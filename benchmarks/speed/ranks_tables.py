"""The tables of training on several ranks."""

from __future__ import annotations

from speed.results import Results, Spread, digits


def ranks_tables(results: Results) -> list[str]:
    """Return the lines of the scaling tables; none when that section was not measured."""
    lines = [*_training(results), "", *_reduce(results)]
    return lines if results.where(section="scaling") else []


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
