"""The report of a sweep in its parent run: a table, the best config, figures, metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ebmcore.masking import mask_all
from ebmcore.runner import prepare_source
from ebmcore.runs import BEST, SUMMARY
from ebmcore_sweep.parent import Parent
from ebmcore_sweep.search.definition import Sweep
from ebmcore_sweep.search.samplers import quiet
from ebmcore_sweep.search.tally import ERROR, RUN_DIR, Tally
from ebmcore_sweep.search.verify import overridden

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna import Study
    from optuna.trial import FrozenTrial

_LOST = "each worker that was at it died"
_TEXT = 2000  # letters of why a trial failed, which stands in the database


def best_trial(sweep: Sweep, found: Tally) -> FrozenTrial | None:
    """Return the complete trial with the best value, the first of equals; None without any."""
    sign = 1 if sweep.objective.direction == "minimize" else -1
    return min(found.complete, key=lambda t: (sign * (t.value or 0.0), t.number), default=None)


def columns(sweep: Sweep) -> tuple[str, ...]:
    """Name the columns of the table."""
    return ("trial", "state", sweep.objective.metric, *sweep.space.ranges, "seconds", "run")


def rows(sweep: Sweep, found: Tally) -> list[tuple[str, ...]]:
    """Return the table's rows: the best trial first, those without a value last."""
    sign = 1 if sweep.objective.direction == "minimize" else -1

    def place(trial: FrozenTrial) -> tuple[int, float, int]:
        complete = trial.state.name == "COMPLETE"
        return (not complete, sign * (trial.value or 0.0) if complete else 0.0, trial.number)

    return [_row(sweep, trial) for trial in sorted(found.trials, key=place)]


def _row(sweep: Sweep, trial: FrozenTrial) -> tuple[str, ...]:
    took = trial.duration
    return (
        str(trial.number),
        trial.state.name,
        "-" if trial.value is None else f"{trial.value:.6g}",
        *(_text(trial.params.get(key, "-")) for key in sweep.space.ranges),
        "-" if took is None else f"{took.total_seconds():.1f}",
        Path(str(trial.user_attrs.get(RUN_DIR, "-"))).name,
    )


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def failures(found: Tally) -> list[str]:
    """Return the reason of each failed trial, cut to a bounded length."""
    whys = [(t.number, t.user_attrs.get(ERROR, _LOST)) for t in found.failed]
    return [f"trial {number}: {why[:_TEXT]}{'…' * (len(why) > _TEXT)}" for number, why in whys]


def headline(sweep: Sweep, found: Tally) -> str:
    """Say in one line how the trials ended, and what was best."""
    counts = (
        f"{len(found.complete)} complete, {len(found.pruned)} pruned, {len(found.failed)} failed"
    )
    best = best_trial(sweep, found)
    if best is None:
        return f"{counts}; no trial has a value of {sweep.objective.metric}"
    return f"{counts}; best {sweep.objective.metric} {best.value:.6g} of trial {best.number}"


def write_report(
    parent: Parent, study: Study, sweep: Sweep, found: Tally, plugins: Sequence[str]
) -> None:
    """Write all of it; a picture that can't be drawn is a warning of the parent."""
    _write_metrics(parent, sweep, found)
    parent.directory.write(SUMMARY, markdown(sweep, found).encode())
    best = best_trial(sweep, found)
    if best is None:
        return
    record = best_config(sweep, best, plugins)
    text = yaml.safe_dump(mask_all(record), sort_keys=False, default_flow_style=None, width=100)
    parent.directory.write(BEST, text.encode())
    for name, draw in _pictures(study, sweep.objective.metric, len(found.complete)).items():
        try:
            with quiet():
                parent.draw(name, draw())
        except Exception as error:  # of few trials, or of equal ones
            parent.warn(f"no picture of the {name.replace('_', ' ')}: {error}")


def best_config(sweep: Sweep, best: FrozenTrial, plugins: Sequence[str]) -> dict[str, Any]:
    """Return the resolved config of a trial, which `ebmcore run` takes from anywhere."""
    values = sweep.space.of(best.params)
    source = overridden(sweep, values, f"{sweep.name}-best")
    return prepare_source(source, (*plugins, *sweep.files)).config.record


def markdown(sweep: Sweep, found: Tally) -> str:
    """Return the summary as Markdown."""
    names = columns(sweep)
    lines = [f"# {sweep.name}", "", f"{headline(sweep, found)}.", ""]
    lines += [_line(names), _line(["---"] * len(names)), *map(_line, rows(sweep, found))]
    if failed := failures(found):
        lines += ["", "Failures:", "", *(f"- {text.splitlines()[0]}" for text in failed)]
    return "\n".join(map(_plain, lines)) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(line: str) -> str:
    """Return a line without control characters; names and reasons come from the storage."""
    return "".join(c if c.isprintable() else " " for c in line)


def _write_metrics(parent: Parent, sweep: Sweep, found: Tally) -> None:
    """Write each value and the best one so far, in the order in which the trials ended."""
    choose = min if sweep.objective.direction == "minimize" else max
    ended = sorted(found.complete, key=lambda t: (t.datetime_complete, t.number))
    best: float | None = None
    for count, trial in enumerate(ended, 1):
        value = float(trial.value or 0.0)
        best = value if best is None else choose(best, value)
        parent.write(count, {"sweep/value": value, "sweep/best": best})
    counts = {"complete": found.complete, "pruned": found.pruned, "failed": found.failed}
    parent.write(len(ended), {f"sweep/{name}": len(trials) for name, trials in counts.items()})


def _pictures(study: Study, metric: str, complete: int) -> dict[str, Callable[[], Figure]]:
    """Return the functions that draw Optuna's figures; importance takes two comparable trials."""
    import matplotlib as mpl

    mpl.use("agg")  # nobody looks on
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.visualization import matplotlib as plots

    def history() -> Figure:
        return _figure(plots.plot_optimization_history(study, target_name=metric))

    def importance() -> Figure:
        evaluator = PedAnovaImportanceEvaluator()
        return _figure(plots.plot_param_importances(study, evaluator=evaluator, target_name=metric))

    drawn: dict[str, Callable[[], Figure]] = {"optimization_history": history}
    return {**drawn, "parameter_importance": importance} if complete >= 2 else drawn


def _figure(axes: Any) -> Figure:
    """Return the figure of axes; pyplot, which would keep it open, forgets it."""
    from matplotlib import pyplot as plt

    figure: Figure = axes.figure
    plt.close(figure)
    figure.set_layout_engine("tight")
    return figure
