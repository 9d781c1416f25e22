"""The configs of the gallery: `python docs/_ext/ebmcore_docs/gallery.py` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]  # of the repository
PAGE = ROOT / "docs" / "gallery.md"
_CONFIG = re.compile(r"^```yaml\n# (examples/\S+)\n.*?^```$", re.DOTALL | re.MULTILINE)


def filled(page: str) -> str:
    """Return the page with each config as its file is now; a block's first line names the file."""
    return _CONFIG.sub(lambda block: config(block[1]), page)


def config(name: str) -> str:
    """Return the block of one config."""
    return f"```yaml\n# {name}\n{(ROOT / name).read_text(encoding='utf-8')}```"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
