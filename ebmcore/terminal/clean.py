r"""Clean text for a terminal: escape the characters that move its cursor, hide or reverse text.

Names, paths, metrics and messages come from configs, run directories and plugins of strangers,
so each may hold an escape sequence. Letters, marks, digits, punctuation and spaces of every script
stay as they are, as do newlines and tabs; a character of these Unicode categories becomes its code:

- Cc, control characters (C0, DEL, C1): `\x1b`
- Cf, invisible characters that change the visible text, such as bidirectional overrides,
  zero-width characters and tags: `\u202e`
- Zl and Zp, separators of lines and paragraphs; Cs, halves of a character: `\u2028`, `\udc9b`
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable

_SPELLED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_NAMES = {0x00: "NUL", 0x07: "BEL", 0x08: "BS", 0x1B: "ESC", 0x7F: "DEL", 0x9B: "CSI"}


def clean(text: str) -> str:
    """Return text of one or more lines that is safe to show."""
    return _spelled(text, "\n\t", _code)


def one_line(text: str) -> str:
    r"""Return text that is safe to show in one line: newlines and tabs become `\n`, `\t`."""
    return _spelled(text, "", lambda c: {"\n": r"\n", "\t": r"\t"}.get(c) or _code(c))


def clean_json(text: str) -> str:
    """Return an equivalent JSON document that is safe to show."""
    return _spelled(text, "\n", lambda c: json.dumps(c)[1:-1])


def is_control(character: str) -> bool:
    """Tell whether configs must not hold it: Cc but tab and line ends, Cs, Zl or Zp."""
    return character not in "\t\n\r" and unicodedata.category(character) in _SPELLED - {"Cf"}


def named(character: str) -> str:
    """Return a character's name for a message: `U+001B (ESC)`."""
    name = _NAMES.get(ord(character)) or unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def _spelled(text: str, kept: str, code: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(c if c in kept or _is_shown(c) else code(c) for c in text)


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) not in _SPELLED


def _code(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
