"""Figures that are drawn beside a run: the same pictures, whatever happens to the other process."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from functools import partial
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

import ebmcore
from ebmcore.monitoring import figure_writer as artists
from ebmcore.monitoring.figure_writer import FigureWriter
from ebmcore.monitoring.run import render
from ebmcore.train.threads import processors

pytestmark = pytest.mark.skipif(processors() < 2, reason="with one processor all is drawn here")


def figure(title="a line"):
    made = Figure(figsize=(3, 2))
    made.add_subplot().plot([0, 1, 4, 9])
    made.suptitle(title)
    return made


def drawn(artist, made, file):
    """Hand a figure to an artist; return where it was to be drawn here."""
    here: list[Path] = []

    def draw():
        here.append(file)
        return render(made, "figure")

    artist(made, file.name, draw, file.write_bytes)
    return here


class OnlyHere:
    """Can be taken apart, but put together again in this process alone."""

    def __reduce__(self):
        return (of_process, (os.getpid(),))


def of_process(number):
    """Stand for an object of one process."""
    if number != os.getpid():
        raise RuntimeError("another process")
    return OnlyHere()


@pytest.mark.slow
def test_the_pictures_are_those_that_are_drawn_here(tmp_path):
    from matplotlib import pyplot as plt

    artist, here, there = FigureWriter(after=0), tmp_path / "here.png", tmp_path / "there.png"
    plotted, axes = plt.subplots(figsize=(2, 2))
    axes.plot([1, 0])
    with mpl.rc_context({"savefig.dpi": 57, "savefig.facecolor": "yellow"}):
        here.write_bytes(render(figure(), "figure"))
        assert drawn(artist, figure(), there) == []
        assert drawn(artist, plotted, tmp_path / "pyplot.png") == []
    assert artist.close() == []
    assert there.read_bytes() == here.read_bytes()
    assert (tmp_path / "pyplot.png").stat().st_size > 1000
    assert artist.seconds > 0
    assert sorted(tmp_path.iterdir()) == sorted([here, there, tmp_path / "pyplot.png"])
    assert pickle.loads(pickle.dumps(OnlyHere()))
    plt.close("all")


@pytest.mark.slow
def test_what_cannot_be_handed_over_is_drawn_here(tmp_path):
    artist, lively, local = FigureWriter(after=0), figure(), figure()
    lively.key = lambda: None  # no pickle of a lambda
    assert drawn(artist, lively, tmp_path / "lively.png") == [tmp_path / "lively.png"]
    local.key = OnlyHere()
    here = drawn(artist, local, tmp_path / "local.png")
    assert here == []
    assert artist.close() == []
    assert here == [tmp_path / "local.png"]
    assert (tmp_path / "local.png").exists()


@pytest.mark.slow
def test_when_the_process_is_killed_the_rest_is_drawn_here(tmp_path):
    artist = FigureWriter(after=0)
    drawn(artist, figure(), tmp_path / "0.png")
    while artist._process is None:
        pass
    artist._process.send_signal(signal.SIGKILL)
    for number in range(1, 4):
        drawn(artist, figure(), tmp_path / f"{number}.png")
    assert artist.close() == []
    assert len(list(tmp_path.glob("*.png"))) == 4


def test_early_figures_are_drawn_at_once_and_start_no_process(tmp_path):
    artist = FigureWriter()
    assert drawn(artist, figure(), tmp_path / "a.png") == [tmp_path / "a.png"]
    assert artist._process is None
    assert artist.close() == []


class Late:
    """A figure that another process draws when it unpickles it."""

    def savefig(self, *arguments, **options):
        raise RuntimeError("drawn here")

    def __reduce__(self):
        return pickle.loads, (pickle.dumps(figure()),)


@pytest.mark.slow
def test_late_figures_go_to_the_process_at_once(tmp_path, monkeypatch):
    artist, file = FigureWriter(), tmp_path / "late.png"
    monkeypatch.delitem(sys.modules, "matplotlib")  # as in a run whose monitors don't import it
    assert drawn(artist, Late(), file) == []
    assert artist.close() == []
    assert artist._process is not None
    assert file.read_bytes() == render(figure(), "figure")


def test_a_picture_that_nobody_can_draw_is_told(tmp_path):
    broken = figure()
    broken.axes[0].set_title("$\\frac{1$")  # no mathematics
    artist, file = FigureWriter(after=0), tmp_path / "broken.png"
    artist(broken, file.name, partial(render, broken, "figure"), file.write_bytes)
    ((failed, error),) = artist.close()
    assert failed == file.name
    assert isinstance(error, ValueError)
    assert not file.exists()


@pytest.mark.slow
def test_a_run_waits_for_its_pictures_and_says_what_they_took(config, monkeypatch):
    monkeypatch.setattr(artists, "AFTER", 0.0)
    landscape = {"type": "landscape", "every": "1 epoch", "n_steps": 1}
    run = ebmcore.run(config, {"monitors": [landscape]}, progress=False)
    pictures = list((run.dir / "figures" / "landscape").iterdir())
    assert pictures
    assert all(picture.suffix == ".png" for picture in pictures)
    facts = json.loads((run.dir / "run.json").read_text())
    assert facts["seconds_by_part"]["figures, drawn beside the training"] > 0
    slow = "makes the run quicker"  # a hint that depends on the machine
    assert [text for text in facts["warnings"] if slow not in text] == []
