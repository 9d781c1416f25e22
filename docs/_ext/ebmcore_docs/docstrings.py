"""Docstrings as Markdown: paragraphs, formulas, lists, and the sections that ours have."""

from __future__ import annotations

import re
from typing import NamedTuple

_MARKED = re.compile(r"(?:Source|Shapes|Raises|Returns)\b:?")  # begins a paragraph of its own
_SENTENCES = re.compile(r"(?<!\S)(?=Raises |Source: )")  # of failures and of sources
_SPECIAL = re.compile(r"([\\*_<>\[\]#~$|{}])")  # Markdown's and MyST's own characters
_LIST = re.compile(r"^(\d*)([-+.)])(?= )")  # a formula's sign begins no list
_CODE = re.compile(r"(`+[^`]+`+)")
_ENTRY = re.compile(r"[-*] ")


class Described(NamedTuple):
    """The parts of a docstring, each as Markdown; "" where it has none."""

    lead: str  # the first paragraph: of a component most often its formula
    text: str
    failures: str
    source: str


def described(docstring: str) -> Described:
    """Split a docstring into its parts."""
    lead, text, failures, source = "", [], [], []
    for number, block in enumerate(_blocks(docstring)):
        if number == 0:
            lead = _paragraph(block)
        elif block[0].startswith("    "):
            text.append(_code(block))
        elif block[0] == "Args:":
            text.append("\n".join(_argument(entry) for entry in _by_entry(block[1:])))
        elif _ENTRY.match(block[0]):
            text.append(_entries(block))
        else:
            for piece in _SENTENCES.split(_paragraph(block)):
                if piece.startswith("Source: "):
                    source.append(piece.removeprefix("Source: "))
                else:
                    (failures if piece.startswith("Raises ") else text).append(piece.rstrip())
    return Described(
        lead, *("\n\n".join(part for part in parts if part) for parts in (text, failures, source))
    )


def markdown(docstring: str) -> str:
    """Return a whole docstring as Markdown, in its own order but for failures and source."""
    found = described(docstring)
    source = found.source and f"Source: {found.source}"
    return "\n\n".join(part for part in (found.lead, found.text, found.failures, source) if part)


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, but for `code` in backquotes."""
    pieces = _CODE.split(text)
    pieces[::2] = [_SPECIAL.sub(r"\\\1", piece) for piece in pieces[::2]]
    return _LIST.sub(r"\1\\\2", "".join(pieces))


def _blocks(docstring: str) -> list[list[str]]:
    """Split a docstring at empty lines, and before each line that begins a marked paragraph."""
    blocks: list[list[str]] = [[]]
    for line in docstring.strip().splitlines():
        last = blocks[-1] or [""]
        if not line.strip() and not last[0].startswith("    "):  # those of code belong to it
            blocks.append([])
            continue
        if line.strip() and (_MARKED.match(line) or _turns(last[0], line)):
            blocks.append([])
        blocks[-1].append(line.rstrip())
    return [block for block in blocks if any(block)]


def _turns(first: str, line: str) -> bool:
    """Tell whether a line ends a block that began so: text after code, or code after text."""
    if _ENTRY.match(first) or first == "Args:":
        return not line.startswith("  ") and not _ENTRY.match(line)
    return bool(first) and first.startswith("    ") != line.startswith("    ")


def _paragraph(lines: list[str]) -> str:
    return escaped(" ".join(line.strip() for line in lines))


def _code(lines: list[str]) -> str:
    text = "\n".join(line[4:] for line in lines).rstrip()
    language = "python" if re.search(r"^(?:def|from|import|class) ", text, re.MULTILINE) else "text"
    return f"```{language}\n{text}\n```"


def _entries(lines: list[str]) -> str:
    entries: list[list[str]] = []
    for line in lines:
        if _ENTRY.match(line):
            entries.append([])
        entries[-1].append(line)
    return "\n".join(f"- {_paragraph([entry[0][2:], *entry[1:]])}" for entry in entries)


def _by_entry(lines: list[str]) -> list[str]:
    """Join the lines of each argument, which begins at the first indent."""
    entries: list[str] = []
    for line in lines:
        if line[4:5].isspace() and entries:
            entries[-1] = f"{entries[-1]} {line.strip()}"
        else:
            entries.append(line.strip())
    return entries


def _argument(entry: str) -> str:
    name, _, meaning = entry.partition(": ")
    return f"- `{name}`: {escaped(meaning)}"
