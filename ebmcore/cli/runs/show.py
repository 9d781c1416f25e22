"""`ebmcore runs show`: what one run directory says of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ebmcore.cli.output import Answer, AsJson, answering, say, show_times, table
from ebmcore.cli.runs.list import counted, moment, remarks, steps
from ebmcore.cli.runs.run_dir import RunDir, named_run
from ebmcore.errors import EbmError
from ebmcore.terminal import duration

if TYPE_CHECKING:
    from ebmcore.runs.status import Account

_MORE = (
    "stopped",
    "seed",
    "device",
    "components",
    "versions",
    "warnings",
    "error",
    "host",
    "pid",
    "git",
)


@answering
def command(
    run_dir: RunDir,
    as_json: AsJson = False,
) -> Answer:
    """Show one run: its progress, its end and its last metrics.

    Writes nothing.
    """
    from ebmcore.runs.parent_child import children_by_key, parent_and_children, read_children
    from ebmcore.runs.status import read_account
    from ebmcore.trackers.files import pictures

    account = read_account(named_run(run_dir))
    if account.problem is not None:
        raise EbmError(f"{account.path}: {account.problem}")
    from ebmcore.trackers.mlflow.target import recorded_target
    from ebmcore.trackers.state import tracker_states

    facts, target = account.facts, recorded_target(account.facts)
    mlflow = None if target is None else target.record(account.mlflow or "")
    found = {
        **account.document(),
        **parent_and_children(account),
        **{key: facts.get(key) for key in _MORE},
        "metrics": facts.get("metrics"),
        "seconds_by_part": facts.get("seconds_by_part"),
        "mlflow": mlflow and {key: value for key, value in mlflow.items() if key != "seal"},
        "trackers": tracker_states(facts),
        "pictures": len(pictures(account.path)),
    }
    children = children_by_key(read_children(account.path))
    return Answer(found, lambda: _show(account, found, children))


def _show(account: Account, found: dict[str, Any], children: dict[str, Account]) -> None:
    rows = [
        ("run", str(account.path)),
        ("status", account.status + (" (its process is gone)" if account.process_gone else "")),
        *((("children", counted(found["children"])),) if found["children"] is not None else ()),
        *((("parent", _text(found["parent"])),) if found["parent"] is not None else ()),
        ("step", steps(account)),
        ("started", moment(account.started)),
        ("took", duration(account.seconds)),
        ("loss", "-" if account.loss is None else f"{account.loss:.6g}"),
        *((key, _text(found[key])) for key in _MORE if found[key] not in (None, [], {})),
        ("pictures", str(found["pictures"])),
        ("MLflow", _text(found["mlflow"] or "-")),
        *found["trackers"].items(),
    ]
    table(("", ""), rows)
    metrics = found["metrics"]
    if isinstance(metrics, dict):
        _show_metrics(metrics, n=len(children))
    times = found["seconds_by_part"]
    if isinstance(times, dict):
        show_times({part: s for part, s in times.items() if isinstance(s, float)})
    if children:
        rows = [
            (key, child.status, steps(child), duration(child.seconds), str(child.path))
            for key, child in children.items()
        ]
        table(("child", "status", "step", "took", "run"), rows)
    for text in remarks(account):
        say(text)


def _show_metrics(metrics: dict[str, Any], *, n: int) -> None:
    """Print the last metrics; an interval, NAME.low and NAME.high, stands beside its median."""
    ends = {name for name in metrics if _is_end(name, metrics)}
    rows = [
        (name, _text(value), _interval(name, metrics))
        for name, value in sorted(metrics.items())
        if name not in ends
    ]
    if ends:
        of = "of the median" if n >= 6 else "(of fewer than 6: the range)"
        table((f"metric, {n} runs", "median", f"95 % interval {of}"), rows)
    else:
        table(("metric", "last value"), [row[:2] for row in rows])


def _is_end(name: str, metrics: dict[str, Any]) -> bool:
    stem, _, end = name.rpartition(".")
    return end in ("low", "high") and {stem, f"{stem}.low", f"{stem}.high"} <= set(metrics)


def _interval(name: str, metrics: dict[str, Any]) -> str:
    if f"{name}.low" not in metrics:
        return ""
    return f"{_text(metrics[f'{name}.low'])} … {_text(metrics[f'{name}.high'])}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict) and "component" in value:
        return str(value["component"])
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not isinstance(v, (dict, list)) and v is not None}
        return ", ".join(f"{k} {v}" for k, v in kept.items())
    return str(value)
