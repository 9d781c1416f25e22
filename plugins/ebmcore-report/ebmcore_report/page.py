"""The page: its sections in order, with its style and its script inline."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

from ebmcore_report.html import Html, joined, tag
from ebmcore_report.record import Shown
from ebmcore_report.sections.figures import figures
from ebmcore_report.sections.metrics import curves, evaluation, last_values, sampler_health
from ebmcore_report.sections.overview import head, runs_table, warnings
from ebmcore_report.sections.repeat import repeat
from ebmcore_report.sections.time import time_spent

# a browser that reads this loads nothing from anywhere, whatever the page says
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_SECTIONS = {
    "runs": ("Runs", runs_table),
    "warnings": ("Warnings", warnings),
    "pictures": ("Pictures", figures),
    "curves": ("Curves", curves),
    "values": ("Last values", last_values),
    "evaluation": ("Evaluation", evaluation),
    "sampler": ("Sampler health", sampler_health),
    "time": ("Time", time_spent),
    "repeat": ("Repeat it", repeat),
}


def page(shown: Shown) -> Html:
    """Return the whole document."""
    made = {key: made for key, (_, section) in _SECTIONS.items() if (made := section(shown))}
    links = [tag("a", _SECTIONS[key][0], href=f"#{key}") for key in made]
    title = " · ".join(group.label for group in shown.groups[:4])
    begin = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=Html(_POLICY)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} – ebmcore report"),
        tag("style", _resource("page.css")),
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag("header", head(shown), tag("nav", *links, aria_label="sections")),
        tag("main", *made.values(), id="content"),
        tag("footer", f"ebmcore report, {now}. The run directories hold all that is shown here."),
        tag("script", _resource("page.js")),
    )
    return joined(Html("<!DOCTYPE html>\n"), tag("html", begin, body, lang="en"))


def _resource(name: str) -> Html:
    return Html((files("ebmcore_report") / name).read_text(encoding="utf-8"))
