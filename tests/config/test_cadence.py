"""When things are due."""

import pytest

from ebmcore.config import Cadence


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("3 steps", [3, 6, 9, 12]),
        ("1 step", list(range(1, 13))),
        ("2 epochs", [10]),
        ("1 epoch", [5, 10]),
        ("end", []),
    ],
)
def test_due(text, due):
    assert [s for s in range(13) if Cadence.parse(text).is_due(s, 5)] == due


@pytest.mark.parametrize("text", ["0 steps", "epoch", "2", "1.5 epochs", "often", "-1 steps"])
def test_refused(text):
    with pytest.raises(ValueError, match="'20 epochs', '500 steps' or 'end'"):
        Cadence.parse(text)


def test_auto_is_a_monitor_s_own():
    cadence = Cadence.of_monitor("auto", "2 steps")
    assert (cadence.count, cadence.unit, cadence.auto) == (2, "step", True)
    assert Cadence.of_monitor("3 steps", "2 steps") == Cadence(3, "step")
    for text, own in (("auto", "often"), ("often", "2 steps"), ("auto", "auto")):
        with pytest.raises(ValueError, match="should be a cadence"):
            Cadence.of_monitor(text, own)
