"""The site's tree of pages: the links of a page's lists, under the headings where they stand."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_HEADING = re.compile(r"## (.+)")
_LINK = re.compile(r"- \[[^\]]+\]\(([\w./-]+)\.md(?:#[\w-]+)?\)")


def listed(text: str) -> dict[str, list[str]]:
    """Return the pages that a page lists, by heading, without their suffix.

    An entry of a list counts when it begins with a link to a page: `- [Install](start/install.md)`.
    """
    found: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if title := _HEADING.fullmatch(line):
            heading = title[1]
        elif link := _LINK.match(line):
            pages = found.setdefault(heading, [])
            if link[1] not in pages:
                pages.append(link[1])
    return found


def toctrees(text: str, *, captions: bool = False) -> str:
    """Return the toctrees of a page's lists, hidden, since the page shows the lists themselves."""
    trees = []
    for heading, pages in listed(text).items():
        caption = [f":caption: {heading}"] if captions else []
        trees.append("\n".join(["```{toctree}", ":hidden:", *caption, "", *pages, "```"]))
    return "\n\n".join(trees)


def reached(pages: dict[str, str], start: str) -> set[str]:
    """Return the pages that lists lead to from one page; `pages` holds the text of each by name."""
    found: set[str] = set()
    names = [start]
    while names:
        name = names.pop()
        if name in found or name not in pages:
            continue
        found.add(name)
        folder = PurePosixPath(name).parent
        for below in listed(pages[name]).values():
            names.extend(str(folder / page) for page in below)
    return found
