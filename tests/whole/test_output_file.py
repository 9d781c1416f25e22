"""Files of the user's results: whole or not at all, and in no other's place unasked."""

import os
import re

import pytest

from ebmcore.errors import EbmError
from ebmcore.output_file import output_file, writing


def write(path, text="new", *, force=False):
    with output_file(path, ".csv", force=force) as draft, writing(path):
        draft.write_text(text)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("old.csv", "is there already; name another file, or --force to replace it"),
        ("link.csv", "is there already; name another file, or --force to replace it"),
        ("folder.csv", "is no plain file, so it can't be replaced"),
        ("new.txt", "should end in .csv"),
        ("no/new.csv", "no such folder no"),
        ("a\0.csv", "holds a null byte, as no file's name does"),
        ("n" * 300 + ".csv", "can't be written: File name too long"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused_at_once(tmp_path, monkeypatch, name, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("old.csv")
    (tmp_path / "folder.csv").mkdir()
    before = sorted(os.listdir())
    with (
        pytest.raises(EbmError, match=re.escape(f"{name}: {why}")),
        output_file(name, ".csv") as draft,
    ):
        raise AssertionError(draft)
    assert (sorted(os.listdir()), (tmp_path / "old.csv").read_text()) == (before, "old")


def test_force_replaces_a_file_behind_a_link_too(tmp_path):
    (tmp_path / "link.csv").symlink_to("old.csv")
    for name in ("old.csv", "link.csv"):
        write(tmp_path / name, name, force=True)
        assert (tmp_path / "old.csv").read_text() == name
    assert sorted(os.listdir(tmp_path)) == ["link.csv", "old.csv"]


def test_a_block_that_fails_or_comes_late_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.csv"
    why = r"a\.csv: can't be written: No such file"
    with pytest.raises(EbmError, match=why), output_file(path, ".csv"), writing(path):
        (tmp_path / "no" / "b").write_text("")
    assert not os.listdir(tmp_path)
    with pytest.raises(EbmError, match=r"a\.csv: is there already"), output_file(path, ".csv"):
        path.write_text("another's")
    assert (os.listdir(tmp_path), path.read_text()) == (["a.csv"], "another's")
