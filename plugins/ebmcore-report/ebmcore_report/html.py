"""HTML that can't be broken by a text: every text is escaped, unless it is HTML already.

Names, paths, metrics and messages come from configs and run directories of strangers. `tag` escapes
each child and each attribute, masks passwords in URIs, and spells out characters that would hide or
reverse a text, as the terminal does.
"""

from __future__ import annotations

import html
from typing import Any

from ebmcore.masking import mask
from ebmcore.terminal import clean

_EMPTY = {"img", "input", "meta"}  # elements that have no end tag


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def escape(value: Any) -> Html:
    """Return anything as HTML that shows it."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(clean(mask(str(value)))))


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """Return an element.

    Children that are None or "" are left out. An attribute is written without a trailing underscore
    and with a hyphen for each other one; None and False leave it out, True writes its name alone.

    Example:
        >>> tag("p", "1 < 2", class_="sum", data_step=3)
        '<p class="sum" data-step="3">1 &lt; 2</p>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = key.rstrip("_").replace("_", "-")
        words.append(word if value is True else f'{word}="{escape(value)}"')
    begin = f"<{' '.join(words)}>"
    if name in _EMPTY:
        return Html(begin)
    return Html(f"{begin}{joined(*children)}</{name}>")


def joined(*children: Any) -> Html:
    """Join elements and texts."""
    return Html("".join(escape(child) for child in children if child not in (None, "")))


def table(columns: list[Any], rows: list[list[Any]], *, label: str, class_: str = "") -> Html:
    """Return a table in a box that scrolls by itself, also with the keyboard.

    The first cell of a row is its heading. A column of numbers is one whose cells `number` made.
    """
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:]))
        for row in rows
    ]
    inner = tag("table", tag("thead", head) if any(columns) else None, tag("tbody", *body))
    return tag(
        "div", inner, class_=f"scroll {class_}".strip(), tabindex=0, role="region",
        aria_label=label,
    )  # fmt: skip


def number(value: float | None) -> Html:
    """Return a number with six digits at most, the place where it belongs for what isn't there."""
    return tag("span", "–" if value is None else f"{value:.6g}", class_="n")
