"""The tables of training on several ranks."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from speed.results import Results, Spread, digits

SMALL, LARGE = 128, 1024  # batches of the rows of one rank
PARAMETERS = 17_000  # of the MLP 2-128-128-1


def ranks_tables(results: Results) -> list[str]:
    """Return the lines of the scaling tables; none when that section was not measured."""
    lines = [*_training(results), "", *_reduce(results)]
    return lines if results.where(section="scaling") else []


class Model(NamedTuple):
    """The model of the cost of a step: t(N) = t₀ + c B/N + the all-reduce, in seconds."""

    start: float  # t₀: the step of an empty batch
    event: float  # c
    latency: float  # α, of a message
    bandwidth: float  # β, bytes a second

    @classmethod
    def of(cls, results: Results) -> Model:
        """Read its constants from the rows of one rank and from the all-reduce of two."""
        took = _of_one(results)
        event = (took[LARGE] - took[SMALL]) / (LARGE - SMALL)
        reduced = {e["numbers"]: e["seconds"] for e in results.where(event="reduce")}
        few, many = min(reduced), max(reduced)
        bandwidth = 4 * many / (reduced[many] - reduced[few])
        return cls(took[SMALL] - SMALL * event, event, reduced[few] / 2, bandwidth)

    def ring(self, ranks: int) -> float:
        """Return the seconds of gloo's all-reduce: N - 1 pieces round a ring, twice."""
        return 2 * (ranks - 1) * (self.latency + 4 * PARAMETERS / (ranks * self.bandwidth))

    def halving(self, ranks: int) -> float:
        """Return those of one by halves, for N a power of 2: fewer messages, as many bytes."""
        rounds, bytes_of_all = ranks.bit_length() - 1, 4 * PARAMETERS / self.bandwidth
        return 2 * (rounds * self.latency + (ranks - 1) / ranks * bytes_of_all)

    def step(self, batch: int, ranks: int, reduce: Callable[[int], float]) -> float:
        """Return the seconds of a step with a batch of all ranks."""
        return self.start + self.event * batch / ranks + reduce(ranks)


def figures(results: Results) -> dict[str, str]:
    """Numbers of the model of the cost."""
    model, took = Model.of(results), _of_one(results)
    steps = [model.step(LARGE, ranks, model.ring) for ranks in (2, 4, 8, 16)]
    return {
        "scaling, t₀": f"{model.start * 1e3:.0f} ms",
        "scaling, c": f"{model.event * 1e3:.3f} ms",
        "scaling, t₀ of 128": f"{model.start / took[SMALL]:.2f}",
        "scaling, t₀ of 1024": f"{model.start / took[LARGE]:.2f}",
        "scaling, α": f"{model.latency * 1e3:.2f} ms",
        "scaling, β": f"{model.bandwidth / 1e9:.1f} GB/s",
        "scaling, 1024 on one": f"{took[LARGE] * 1e3:.0f}",
        "scaling, most of 1024": f"{took[LARGE] / model.start:.0f}",
        "scaling, 1024 on several": ", ".join(f"{step * 1e3:.0f}" for step in steps),
    }


def simulated(results: Results) -> list[str]:
    """Return the model's table of many ranks; nothing of it is measured but the constants."""
    model, many = Model.of(results), (8, 64, 512)
    heads = ("by the model: ms a step, efficiency", *(f"{ranks} ranks" for ranks in many))
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    cases = [(f"strong, a batch of {batch:,}", batch, False) for batch in (LARGE, 64 * LARGE)]
    for title, batch, weak in (*cases, (f"weak, {LARGE:,} for each rank", LARGE, True)):
        for name, reduce in (("ring", model.ring), ("by halves", model.halving)):
            cells = []
            for ranks in many:
                one = model.start + model.event * batch
                step = model.step(batch * ranks if weak else batch, ranks, reduce)
                share = one / step / (1 if weak else ranks)
                cells.append(f"{digits(step * 1e3)}, {100 * share:.3g} %")
            lines.append(f"| {title}; {name} | {' | '.join(cells)} |")
    return lines


def _of_one(results: Results) -> dict[int, float]:
    """Return the seconds of a step of one rank, by its batch."""
    one = {"section": "scaling", "hidden": "128-128", "ranks": 1}
    return {b: median(results.values("seconds", **one, batch=b)) for b in (SMALL, LARGE)}


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
