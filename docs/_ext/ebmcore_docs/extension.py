"""The Sphinx extension of the site: pages made of docstrings, and the tree of all pages.

`docs/` stays Markdown that any forge shows: the build adds only what is written elsewhere already.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from ebmcore_docs import commands, contents, contract, parts

ROOT = Path(__file__).parents[3]  # of the repository
LISTS = {"parts": parts, "commands": commands, "contract": contract}  # by the page that lists them
ABOUT = {"changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md", "security": "SECURITY.md"}
NOTEBOOK = """---
file_format: mystnb
kernelspec: {name: python3, display_name: Python 3}
---
"""
_TO_ROOT = re.compile(rf"\]\((?:\.\./)*({'|'.join(ABOUT.values())})")


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the build: before sources are found, and when each is read."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", complete)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(app: Sphinx) -> None:
    """Write the pages that the build makes, where they changed, and remove those of before."""
    folder = Path(app.srcdir)
    made = {
        **{room: module.pages() for room, module in LISTS.items()},
        "about": {name: about((ROOT / file).read_text("utf-8")) for name, file in ABOUT.items()},
    }
    for room, pages in made.items():
        files = {folder / room / f"{name}.md": text for name, text in pages.items()}
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.is_file() or file.read_text("utf-8") != text:
                file.write_text(text, "utf-8")
        for file in set((folder / room).rglob("*.md")) - files.keys():
            file.unlink()


def about(text: str) -> str:
    """Return a page of the repository's root with links as they are from a folder of docs."""
    return re.sub(r"\]\(docs/", "](../", text)


def complete(_app: Sphinx, name: str, source: list[str]) -> None:
    """Add what a page has on the site alone: lists of pages that were made, and their toctrees."""
    up = "../" * name.count("/")
    text = _TO_ROOT.sub(lambda link: f"]({up}about/{Path(link[1]).stem.lower()}.md", source[0])
    if name in LISTS:
        text += LISTS[name].overview()
    if not name.startswith((*(f"{room}/" for room in LISTS), "about/")):
        text += f"\n\n{contents.toctrees(text, captions=name == 'index')}\n"
    if "\n```{code-cell}" in text:
        text = f"{NOTEBOOK}\n{text}"
    source[0] = text
