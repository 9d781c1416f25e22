"""`ebmcore runs diff`: what differs between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ebmcore.cli.groups import hand_over
from ebmcore.cli.output import Answer, AsJson, answering, out, table
from ebmcore.cli.runs.run_dir import named_run
from ebmcore.completion import completers
from ebmcore.errors import EbmError


@answering
def diff_command(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A run's directory, or `last`: the newest run's.",
            autocompletion=completers.runs,
        ),
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="Another one.", autocompletion=completers.runs)
    ],
    as_json: AsJson = False,
) -> Answer:
    """Show the differences between two runs.

    They are those of the config, of the versions and code of plugins, and of the last metrics.

    Of the parents of several seeds it says whether their metrics differ by more than the runs of
    each do, and of a parent and a single run whether that lies among the parent's.
    """
    from ebmcore.runs.parent_child import is_seed_group

    first, second = str(named_run(first)), str(named_run(second))
    one, two = _read(first), _read(second)
    if not (is_seed_group(first) or is_seed_group(second)):
        found = {section: _differences(one[section], two[section]) for section in one}
        return Answer({"a": first, "b": second, **found}, lambda: _show(found))
    rest = {name: _differences(one[name], two[name]) for name in ("config", "versions")}
    compared = hand_over("runs compare", first=first, second=second)

    def show() -> None:
        _show(rest)
        compared.show()

    return Answer({"a": first, "b": second, **rest, **compared.document}, show)


def _read(run_dir: str) -> dict[str, dict[str, Any]]:
    """Return what can differ of a run. Raises EbmError when the directory is no run."""
    from ebmcore.runs.directory import read_recorded
    from ebmcore.runs.run_json import read_run_json
    from ebmcore.runs.safe_files import SafeFiles
    from ebmcore.trackers.flatten import flatten

    folder = Path(run_dir)
    try:
        facts = read_run_json(SafeFiles(folder))
        versions = {**facts["versions"], **dict(map(_version, facts["plugins"]))}
        metrics = {**facts.get("metrics", {})}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EbmError(f"{folder}: no run directory (no readable run.json)") from error
    config = dict(flatten(read_recorded(folder).tree))
    return {"config": config, "versions": versions, "metrics": metrics}


def _version(plugin: dict[str, Any]) -> tuple[str, str]:
    """Return a plugin's name, its version and the hash of its code."""
    version = str(plugin["version"] or "local file")
    digest = f" ({plugin['sha256'][:8]})" if plugin["sha256"] else ""
    return str(plugin["distribution"] or plugin["name"]), version + digest


def _differences(one: dict[str, Any], two: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        key: {"a": one.get(key), "b": two.get(key)}
        for key in sorted({*one, *two})
        if one.get(key) != two.get(key)
    }


def _show(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    rows = [
        (section, key, _text(values["a"]), _text(values["b"]))
        for section, differences in found.items()
        for key, values in differences.items()
    ]
    if not rows:
        out("nothing differs")
        return
    table(("", "key", "A", "B"), rows)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
