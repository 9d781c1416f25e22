"""The display of a run's progress: speeds as a person says them, time left, compiling."""

from types import SimpleNamespace

import pytest

from ebmcore.monitoring import progress
from ebmcore.monitoring.progress import Bar, Lines, TimeLeft, duration, speed


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""
    found = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


def test_slow_steps_read_as_seconds_a_step():
    rates = {0.005: "200 s/step", 0.0999: "10 s/step", 0.43: "2.3 s/step", 0.99: "1.0 s/step"}
    rates |= {1.0: "1.0 steps/s", 2.54: "2.5 steps/s", 9.94: "9.9 steps/s", 9.96: "10 steps/s"}
    rates |= {1234.5: "1234 steps/s", 0.0: "0.0 steps/s"}
    assert {rate: speed(rate) for rate in rates} == rates
    spans = {0.2: "0 s", 99.0: "99 s", 99.6: "2 min", 12_000.0: "3 h 20 min"}
    spans[5990.0] = "1 h 40 min"
    assert {seconds: duration(seconds) for seconds in spans} == spans


def test_the_time_left_leaves_compiling_out(clock):
    left = TimeLeft(1000)
    left.exclude(60.0)  # before the first update: it counts nothing yet
    assert left(10, 5.0) == 990 / 5.0  # all there is to know
    clock.now += 20.0  # ten steps with a monitor between them
    assert left(20, 5.0) == 980 * 2.0
    clock.now += 80.0
    left.exclude(60.0)
    assert left(30, 5.0) == 970 * 2.0
    assert left(10, 4.0) == 990 / 4.0  # after a rollback
    clock.now += 1.0
    assert left(11, 4.0) == 989.0
    assert TimeLeft(5)(5, 0.0) == 0.0


def test_plain_lines_say_when_compiling_begins_and_ends(clock, capsys):
    lines = Lines(100)
    with lines.compiling():
        assert capsys.readouterr().err == "compiling the step\n"
        clock.now += 12.34
    assert capsys.readouterr().err == "compiling the step took 12.3 s\n"
    lines.update(10, 0.5, -1.25, 0.4)
    said = capsys.readouterr().err
    assert said == "step 10/100  loss 0.5  gap -1.25  2.5 s/step  4 min left\n"
    with pytest.raises(KeyboardInterrupt), lines.compiling():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "compiling the step\n"  # it isn't done


def test_the_bar_shows_since_when_it_compiles(clock):
    bar = Bar(100)
    with bar.compiling():
        clock.now += 12.0
        assert bar.figures() == "compiling the step since 12 s"
    assert bar.figures() == ""
    bar.update(50, 0.5, None, 100.0)
    assert bar.figures() == "loss 0.5  100 steps/s  0 s left"
