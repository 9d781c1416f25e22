"""Lines of a config, with the reasons beside them or above them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ebmcore_new.look.seen import Seen

WIDTH = 100


class Line(NamedTuple):
    """A line of YAML, indented, and why it is so; an empty reason needs none."""

    text: str
    why: str = ""


def render(lines: Iterable[Line]) -> str:
    """Return the lines, each reason behind its line where it fits, else above it."""
    return "".join(f"{line}\n" for entry in lines for line in _rendered(entry))


def _rendered(line: Line) -> Iterator[str]:
    indent = " " * (len(line.text) - len(line.text.lstrip()))
    if not line.why:
        yield line.text
    elif len(line.text) + len(line.why) + 3 <= WIDTH:
        yield f"{line.text} # {line.why}"
    else:
        yield from comment(line.why, indent)
        yield line.text


def comment(text: str, indent: str = "") -> list[str]:
    """Return a text as lines of comments."""
    lead = f"{indent}# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=lead, subsequent_indent=lead, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def data_lines(seen: Seen, extra: Iterable[Line] = ()) -> list[Line]:
    """Return the section `data`: the keys that read it, the held-out share, the transforms."""
    lines = [Line("data:"), *(Line(f"  {name}: {value}", why) for name, value, why in seen.keys)]
    about = "set aside, to see whether new ones get energies as low"
    lines.append(Line(f"  holdout: {seen.holdout:g}", about))
    if seen.transforms:
        entries = ", ".join(seen.transforms)
        lines.append(Line(f"  transform: [{entries}]", seen.why_transforms))
    return [*lines, *extra]
