"""`ebmcore examples`: the configs to learn from, and to begin with."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ebmcore.cli import Answer, AsJson, out, table
from ebmcore_new.installed import Example, all_examples, find_example


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this one, such as digits.")
    ] = None,
    as_json: AsJson = False,
) -> Answer:
    """List the example configs, or print one.

    `ebmcore new CONFIG.yaml --like NAME` copies one.
    """
    if name is not None:
        found = find_example(name)
        return Answer({**_facts(found), "text": found.text}, lambda: out(found.text.rstrip("\n")))
    listed = [_facts(example) for example in all_examples()]
    return Answer(listed, lambda: _show(listed))


def _facts(example: Example) -> dict[str, Any]:
    return {
        "name": example.name,
        "about": example.about,
        "distributions": list(example.distributions),
        "file": str(example.file),
    }


def _show(listed: list[dict[str, Any]]) -> None:
    rows = [
        (found["name"], found["about"], " ".join(short(name) for name in found["distributions"]))
        for found in listed
    ]
    table(("example", "what it does", "needs ebmcore-…"), rows)
    out("ebmcore examples NAME prints one; ebmcore new CONFIG.yaml --like NAME copies it.")


def short(distribution: str) -> str:
    """Return a distribution's name without what all of ours begin with."""
    return distribution.removeprefix("ebmcore-")
