import pytest
from ebmcore_monitors.diagnoses.drift import _grows


@pytest.mark.parametrize(
    ("size", "grows"),
    [
        ([0, 5, 10, 15, 20], True),
        ([0, 5, 10, 12, 14], False),  # levels off
        ([0, 5, 4, 15, 20], False),  # to and fro
        ([20, 15, 10, 5, 0], False),  # inwards
        ([0, 2, 4, 6, 8], False),  # not far
    ],
)
def test_growth_is_steady_lasting_and_far(size, grows):
    assert _grows([float(value) for value in size], 10.0) is grows
