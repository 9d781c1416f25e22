"""How to repeat a run: its command, config, versions, commit, seed and data."""

from __future__ import annotations

import shlex
from typing import Any

import yaml

from ebmcore_report.html import Html, escape, joined, table, tag
from ebmcore_report.record import Record, Shown, text_of


def repeat(shown: Shown) -> Html | None:
    """Return how to repeat the runs, and the config of the first one in full."""
    if not shown.runs:
        return None
    run = (shown.parents or shown.runs)[0]
    path = run.account.path / "config.yaml"
    lines = [f"ebmcore run {shlex.quote(str(path))}"]
    if shown.parents:
        lines = [_command(run)]
    elif run.account.status in ("KILLED", "FAILED"):
        lines.append(f"ebmcore resume {shlex.quote(str(run.account.path))}")
    if run.facts.get("from_config") is False:
        lines = [f"# made of objects: {_command(run)}"]
    rows = _facts(run)
    source = shown.runs[0]
    overrides = source.overrides
    said = [tag("li", tag("code", f"{key}={value}")) for key, value in overrides.items()]
    config = [
        tag("h3", "Config"),
        joined(tag("p", "Set on the command line, and marked below:"), tag("ul", *said))
        if said
        else None,
        tag("details", tag("summary", f"config.yaml of {source.label}"), config_text(source)),
    ]
    return tag(
        "section", tag("h2", "Repeat it"),
        tag("pre", tag("code", "\n".join(lines)), tabindex=0, aria_label="commands"),
        table(["", ""], rows, label="versions and data"), *(config if source.config else ()),
        id="repeat",
    )  # fmt: skip


def _command(run: Record) -> str:
    """Return the command that a run was begun by, its program by its name alone."""
    given = run.facts.get("command")
    words = [str(word) for word in given] if isinstance(given, list) else []
    if not words:
        return ""
    return shlex.join([words[0].replace("\\", "/").rpartition("/")[2], *words[1:]])


def _facts(run: Record) -> list[list[Any]]:
    facts = run.facts
    versions = facts.get("versions")
    git, data, compiled = facts.get("git"), facts.get("data"), facts.get("compile")
    rows: list[list[Any]] = [["command", tag("code", _command(run))]]
    rows.append(["seed", facts.get("seed")])
    if isinstance(versions, dict):
        rows.append(["versions", ", ".join(f"{k} {v}" for k, v in versions.items())])
    if isinstance(git, dict):
        changed = " with changes that weren't committed" if git.get("changed") else ""
        rows.append(["git commit", joined(tag("code", git.get("commit")), changed)])
    if isinstance(data, dict):
        shape = data.get("event_shape")
        rows.append(["data", f"{data.get('rows')} rows of shape {shape}, {data.get('dtype')}; "
                             f"{data.get('held_out')} held out"])  # fmt: skip
        rows.append(["fingerprint of the data", tag("code", f"sha256 {data.get('hash')}")])
    rows.append(["device", text_of(facts.get("device"))])
    if isinstance(compiled, dict):
        rows.append(["compiled", f"{compiled.get('mode')}: {compiled.get('why')}"])
    rows.append(["plugins", _plugins(run)])
    return [row for row in rows if row[1] not in (None, "")]


def _plugins(run: Record) -> Html | None:
    """Return the plugins of the run's own parts, or all that were loaded, with their hashes."""
    given, parts = run.facts.get("plugins"), run.facts.get("components")
    plugins = [p for p in given if isinstance(p, dict)] if isinstance(given, list) else []
    own = [p for p in parts if isinstance(p, dict)] if isinstance(parts, list) else []
    used = {str(p.get("distribution")) for p in own}
    some = [p for p in plugins if str(p.get("distribution")) in used or p.get("file")] or plugins
    words = []
    for p in some:
        name, version = p.get("distribution") or p.get("name"), p.get("version") or ""
        words.append(f"{name} {version} ({str(p.get('sha256'))[:8]})")
    return escape(", ".join(words)) if words else None


def config_text(run: Record) -> Html:
    """Return the recorded config, with the lines marked that the command line set."""
    marked = _marked_lines(run)
    lines = [
        tag("mark", line) if i in marked else escape(line)
        for i, line in enumerate(run.config.splitlines())
    ]
    text = Html("\n".join(lines))
    return tag("pre", tag("code", text), tabindex=0, aria_label="config")


def _marked_lines(run: Record) -> set[int]:
    try:
        root = yaml.compose(run.config, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return set()
    found: set[int] = set()
    for key in run.overrides:
        node, value = None, root
        for word in key.split("."):
            node, value = _child(value, word)
            if value is None:
                break
        if node is not None and value is not None:
            last = value.end_mark.line + (1 if value.end_mark.column else 0)
            found |= set(range(node.start_mark.line, max(last, node.start_mark.line + 1)))
    return found


def _child(node: Any, word: str) -> tuple[Any, Any]:
    """Return the key and the value of a part of a node of YAML, None where there is none."""
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == word), (None, None))
    if isinstance(node, yaml.SequenceNode) and word.isdigit() and int(word) < len(node.value):
        item = node.value[int(word)]
        return item, item
    return None, None
