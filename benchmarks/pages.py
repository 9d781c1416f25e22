"""Tables and figures of README.md and docs/, from benchmarks/results: `python benchmarks/pages.py`.

A page holds a table between `<!-- table NAME -->` and `<!-- end of table -->`, and a figure in its
text between `<!-- figure NAME -->` and `<!-- end -->`. This file alone writes between them;
tests/whole/test_pages.py compares them with the results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import anomaly
import discrete
import jem
import methods
import planes
import toys
from grid import RESULTS, ROOT, Found
from speed import ranks_tables
from speed import tables as speed
from speed.results import Results

PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "docs" / "guides" / "discrete.md",
)
TABLE = re.compile(
    r"<!-- table (?P<name>.+?) -->\n(?P<text>.*?)\n?<!-- end of table -->", re.DOTALL
)
FIGURE = re.compile(r"<!-- figure (?P<name>.+?) -->(?P<text>.*?)<!-- end -->")


class Content(NamedTuple):
    """The text of each table and of each figure, by its name."""

    tables: Mapping[str, str]
    figures: Mapping[str, str]

    @classmethod
    def read(cls) -> Content:
        """Read the results, all of them."""
        one, toy, plane = (Found(f"{name}.jsonl") for name in ("methods", "toys", "planes"))
        quick, ranks = (Results.read(RESULTS / f"{name}.jsonl") for name in ("speed", "scaling"))
        pairs, scored = jem.read(), anomaly.read()
        tables = {
            **methods.tables(one),
            **toys.tables(toy),
            "planes": planes.table(plane),
            "discrete": discrete.table(Found(discrete.FILE)),
            "jem": jem.table(pairs),
            "anomaly": anomaly.table(scored),
            "speed": speed.tables(quick),
            "scaling": [*speed.facts(ranks), "", *ranks_tables.ranks_tables(ranks)],
            "scaling, model": ranks_tables.simulated(ranks),
        }
        figures = {
            **methods.figures(one),
            **toys.figures(toy),
            **planes.figures(plane),
            **jem.figures(pairs),
            **anomaly.figures(scored),
            **speed.figures(quick),
            **ranks_tables.figures(ranks),
        }
        return cls({name: "\n".join(lines) for name, lines in tables.items()}, figures)


def fill(page: str, content: Content, name: str) -> str:
    """Put the tables and the figures into the text of a page. Raises SystemExit at a wrong name."""

    def put(of: Mapping[str, str], kind: str, around: str) -> Callable[[re.Match[str]], str]:
        def replace(found: re.Match[str]) -> str:
            if found["name"] not in of:
                message = f"{name}: no {kind} {found['name']!r} is measured; there are:"
                raise SystemExit("\n  ".join([message, *sorted(of)]))
            return around.format(kind=kind, name=found["name"], text=of[found["name"]])

        return replace

    table = put(content.tables, "table", "<!-- {kind} {name} -->\n{text}\n<!-- end of table -->")
    figure = put(content.figures, "figure", "<!-- {kind} {name} -->{text}<!-- end -->")
    return FIGURE.sub(figure, TABLE.sub(table, page))


def unmarked(page: str) -> str:
    """The text of a page outside its tables, its figures and its code."""
    page = re.sub(r"^```.*?^```$|`[^`\n]+`", "", page, flags=re.DOTALL | re.MULTILINE)
    return FIGURE.sub("", TABLE.sub("", page))


def main() -> None:
    """Write the pages."""
    content = Content.read()
    for page in PAGES:
        write(page, content)


def write(page: Path, content: Content) -> None:
    """Write one page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(fill(text, content, page.name), encoding="utf-8")


if __name__ == "__main__":
    main()
