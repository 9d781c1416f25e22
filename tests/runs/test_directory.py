"""A new run directory: a name of its own, also beside runs of the same second."""

import pytest

from ebmcore.errors import ConfigError
from ebmcore.runs import directory


@pytest.fixture
def stem(tmp_path, monkeypatch):
    """Every run begins in the same second, and draws the digits that the test lists."""

    class Frozen(directory.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(directory, "datetime", Frozen)
    return tmp_path / "job-20260102-030405"


def draws(monkeypatch, *digits):
    drawn = iter(digits)
    monkeypatch.setattr(directory.secrets, "token_hex", lambda _: next(drawn))


def test_a_taken_name_is_drawn_anew(stem, monkeypatch):
    draws(monkeypatch, "aaaa", "aaaa", "aaaa", "bbbb")
    first = directory.RunDirectory.create("job", stem.parent)
    second = directory.RunDirectory.create("job", stem.parent)
    assert [first.path, second.path] == [named(stem, "aaaa"), named(stem, "bbbb")]


def test_the_log_keeps_lines_and_spells_out_control_characters(tmp_path):
    run = directory.RunDirectory.create("job", tmp_path)
    run.log("ERROR", "a part says\n\tclear: \x1b[2J \u202e \ud800")
    _, _, entry = (run.path / "log.txt").read_text().partition("ERROR ")
    assert entry == "a part says\n\tclear: \\x1b[2J \\u202e \\ud800\n"


def test_a_place_that_cannot_be_made_is_said(stem, tmp_path):
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for root in ("gone", "file"):
        with pytest.raises(ConfigError, match="runs-dir: can't be made: "):
            directory.RunDirectory.create("job", tmp_path / root)


def named(stem, digits):
    return stem.with_name(f"{stem.name}-{digits}")
