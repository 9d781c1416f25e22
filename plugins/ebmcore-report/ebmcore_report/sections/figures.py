"""The pictures of the monitors: the last ones, and all of them through time as an animation."""

from __future__ import annotations

from ebmcore_report.html import Html, tag
from ebmcore_report.pictures import Chosen, Series, choose, data_uri
from ebmcore_report.record import Shown

RUNS = 12  # whose pictures are shown


def figures(shown: Shown) -> Html | None:
    """Return the pictures of each monitor, those of several runs side by side."""
    runs = shown.with_pictures[:RUNS]
    series = [Series(run, name, some) for run in runs for name, some in run.pictures.items()]
    series += [
        Series(run, f"evaluation: {name}", some)
        for run in runs
        for name, some in run.evaluation_pictures.items()
    ]
    if not series:
        return None
    chosen = choose(series)
    names = sorted({one.name for one in chosen.series}, key=_rank)
    note = chosen.note
    if len(shown.runs) > RUNS:
        note = f"{note} Pictures are those of the first {RUNS} runs.".strip()
    return tag(
        "section", tag("h2", "Pictures"), tag("p", note, class_="quiet") if note else None,
        *(_monitor(name, chosen, alone=len(runs) == 1) for name in names), id="pictures",
    )  # fmt: skip


def _rank(name: str) -> tuple[int, str]:
    """Return the order: how the energy and its samples look before all else."""
    first = ("landscape", "samples", "panels")
    word = name.partition("/")[0]
    return (first.index(word) if word in first else len(first), name)


def _monitor(name: str, chosen: Chosen, *, alone: bool) -> Html:
    series = [one for one in chosen.series if one.name == name]
    steps = sorted({picture.step for one in series for picture in one.pictures})
    shown = [tag("div", *(_frames(one, alone) for one in series), class_="strip")]
    if len(steps) > 1:
        label = tag(
            "label", "step ", tag("output", f"{steps[-1]:,}"),
            tag(
                "input", type="range", min=0, max=len(steps) - 1, value=len(steps) - 1, step=1,
                data_steps=",".join(map(str, steps)), aria_label=f"step of {name}",
            ),
        )  # fmt: skip
        play = tag("button", "Play", type="button", aria_label=f"play {name} through time")
        shown.append(tag("div", play, label, class_="player", hidden=True))
    wide = " wide" if len(series) == 1 else ""
    return tag("div", tag("h3", name), *shown, class_=f"monitor{wide}")


def _frames(one: Series, alone: bool) -> Html:
    """Return the pictures of one run, of which the last is visible."""
    images = []
    for picture in one.pictures:
        uri = data_uri(one.run, picture)
        if uri is not None:
            images.append((uri, picture.step))
    caption = None if alone else tag("figcaption", one.run.label)
    if not images:
        return tag("figure", tag("p", "can't be read", class_="quiet"), caption)
    frames = [
        tag(
            "img", src=Html(uri), alt=f"{one.name} of {one.run.label} at step {step}",
            data_step=step, hidden=i < len(images) - 1,
        )
        for i, (uri, step) in enumerate(images)
    ]  # fmt: skip
    return tag("figure", *frames, caption)
