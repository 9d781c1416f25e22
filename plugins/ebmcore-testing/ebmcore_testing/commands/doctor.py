"""`ebmcore plugins doctor`: import each plugin in its own process and report its faults."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ebmcore.cli import Answer, AsJson, PluginOptions, table

if TYPE_CHECKING:
    from ebmcore.plugins import Loaded


def command(
    plugins: PluginOptions = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for each plugin.")] = 60.0,
    as_json: AsJson = False,
) -> Answer:
    """Import each plugin and each component, and report faults.

    The exit code is 1 when something is wrong.
    """
    from ebmcore.plugins import Selection, find_selected

    chosen = find_selected(Selection.from_options(plugins or ()))
    with ThreadPoolExecutor(2) as pool:
        findings = list(pool.map(lambda plugin: examine(plugin, timeout), chosen))
    twice = installed_twice(p.found.distribution for p in chosen if p.found.distribution)
    for finding in findings:
        places = twice.get(_normal(finding["distribution"] or ""))
        if places:
            finding["problems"].append(
                f"is installed {len(places)} times on the path; the first is used: {places}"
            )
    wrong = any(finding["problems"] for finding in findings)
    return Answer(findings, lambda: _show(findings), code=1 if wrong else 0)


def installed_twice(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the folders of distributions that are on the path twice; Python uses the first."""
    wanted = {_normal(name) for name in names}
    places: dict[str, list[str]] = {}
    for distribution in importlib.metadata.distributions():
        try:
            name = _normal(distribution.name or "")
        except Exception:  # it has no metadata, so it can't be one of those
            continue
        if name in wanted:
            places.setdefault(name, []).append(str(distribution.locate_file("")))
    return {name: found for name, found in places.items() if len(set(found)) > 1}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def examine(plugin: Loaded, timeout: float) -> dict[str, Any]:
    """Examine one plugin in a subprocess; one that was not chosen is told of, and left alone."""
    found = plugin.found
    finding: dict[str, Any] = {
        "name": found.name,
        "distribution": found.distribution or None,
        "version": found.version or None,
        "origin": found.origin,
        "status": str(plugin.status),
        "reason": plugin.reason,
        "problems": [],
    }
    if plugin.status != "ok":
        return {**finding, "problems": [plugin.reason] if plugin.is_failure else []}
    try:
        done = subprocess.run(
            # -P: no module of the current folder stands before an installed one
            [sys.executable, "-P", "-m", "ebmcore_testing.commands.doctor_worker"],
            input=json.dumps(found._asdict()),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        seen = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        problem = f"was still importing after {timeout:g} s"
        return {**finding, "status": "import_error", "reason": problem, "problems": [problem]}
    except (ValueError, IndexError):
        problem = f"ended the process that imported it (exit code {done.returncode})"
        return {**finding, "status": "import_error", "reason": problem, "problems": [problem]}
    return {**finding, **seen, "problems": _problems(seen)}


def _problems(seen: dict[str, Any]) -> list[str]:
    problems = [seen["reason"]] if seen["reason"] else []
    if seen["heavy_imports"]:
        names = ", ".join(seen["heavy_imports"])
        cost = f"{seen['registration_ms']:.0f} ms that every command pays"
        problems.append(
            f"imports {names} when it registers, {cost}: name its parts as 'module:attribute', "
            "and keep the package's __init__ light"
        )
    return [*problems, *seen["parts"].values()]


def _show(findings: list[dict[str, Any]]) -> None:
    rows = [
        (f["name"], f["origin"], f["status"], _lines(f["problems"]) or "nothing wrong")
        for f in findings
    ]
    table(("plugin", "from", "status", "found"), rows)


def _lines(texts: list[str]) -> list[str]:
    return [line for text in texts for line in text.split("\n")]
