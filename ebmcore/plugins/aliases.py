"""Words of the field for what has another name here; messages about unknown names point to them.

`aliases.toml` lists them. A suggestion is made only where what it points to exists: a component
that is offered or that a distribution of ours has, a key of the same place or of every config.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ebmcore.plugins.suggestions import distribution_of


@cache
def names() -> dict[str, Any]:
    """Return the table of the file: other words by the name of a part, a key or a command."""
    import tomllib  # for messages alone, so no command waits for it

    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def part_called(kind: str, word: str, offered: Sequence[str]) -> str | None:
    """Return the component that a word of the field means, offered or a distribution's of ours."""
    plain = re.sub(r"[\s-]+", "_", word.strip().lower())
    found = _meant(names()["parts"].get(kind, {}), plain)
    return next((n for n in found if n in offered or distribution_of(kind, n)), None)


def keys_called(word: str) -> list[str]:
    """Return the keys that a word of the field means; dotted ones are those of the whole config."""
    return _meant(names()["keys"], word.lower().replace("-", "_"))


def command_called(word: str) -> str | None:
    """Return the command that does what a word of the field says."""
    return next(iter(_meant(names()["commands"], word)), None)


def _meant(table: dict[str, str], word: str) -> list[str]:
    return [name for name, others in table.items() if word in others.split()]
