"""Trackers that only a run directory names, and `runs sync` with one that the user names."""

import pytest

from ebmcore import EbmError
from ebmcore.trackers import Followers, as_trackers, sync, tracked_run
from support.tracking import Table, follow, write


def test_a_directory_of_somebody_else_starts_no_tracker(directory, tmp_path, monkeypatch):
    warnings = []
    follow(directory, Table(tmp_path / "table.db"), warnings.append, named=False).finish("KILLED")
    assert "table is named by the directory alone" in warnings[0]
    assert not (tmp_path / "table.db").exists()
    follow(directory, Table(tmp_path / "table.db")).finish("KILLED")  # which this user records
    follow(directory, Table(tmp_path / "table.db"), named=False).finish("KILLED")
    (entry,) = as_trackers(Table(tmp_path / "table.db"))
    theirs = entry._replace(record={"type": "table", "file": "elsewhere.db"})
    run = tracked_run(directory, directory.read(), config={}, named=False)
    Followers(directory, (theirs,), run, warnings.append).finish("KILLED")
    assert len(warnings) == 2
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "another user"))
    follow(directory, Table(tmp_path / "table.db"), warnings.append, named=False).finish("KILLED")
    assert len(warnings) == 3


def test_sync_sends_to_the_tracker_that_the_user_names(directory, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import ebmcore\n"
        "from pathlib import Path\n"
        "@ebmcore.tracker\n"
        "class lines(ebmcore.Tracker):\n"
        "    def __init__(self, *, file: str):\n"
        "        self.file = Path(file)\n"
        "    def open(self):\n"
        "        self.file.touch()\n"
        "        return not self.file.read_text()\n"
        "    def steps_of(self, metric):\n"
        "        found = (line.split() for line in self.file.read_text().splitlines())\n"
        "        return [int(step) for name, step in found if name == metric]\n"
        "    def log_points(self, points):\n"
        "        with self.file.open('a') as opened:\n"
        "            opened.writelines(f'{p.name} {p.step}\\n' for p in points)\n"
    )
    write(directory, range(3))
    directory.write_config({"name": "again", "tracking": {"type": "lines", "file": "theirs"}})
    directory.lock.release()
    (found,) = sync(directory.path, plugins=[str(plugin)])
    assert (found.tracker, found.outcome) == ("lines", "behind")
    assert "named by the directory alone" in found.note
    assert "--tracker lines" in found.note
    mine = {"type": "lines", "file": str(tmp_path / "mine.txt")}
    for _ in range(2):
        (found,) = sync(directory.path, tracker=mine, plugins=[str(plugin)])
        assert (found.tracker, found.outcome, found.note) == ("lines", "sent", "")
    assert (tmp_path / "mine.txt").read_text().count("\n") == 6
    (found,) = sync(directory.path)  # without the plugin's file
    assert "no tracker 'lines'" in found.note
    with pytest.raises(EbmError, match=r"no tracker 'line'\. Did you mean 'lines'?"):
        sync(directory.path, tracker="line", plugins=[str(plugin)])
