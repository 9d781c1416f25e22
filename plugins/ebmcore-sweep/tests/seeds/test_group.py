"""The launcher that a group's run.json names: used where this user recorded it, else `local` is."""

import json
import os
from pathlib import Path

import ebmcore_sweep
import pytest
from ebmcore_sweep.launchers import record_launcher, recorded_launcher

import ebmcore
import support
from ebmcore.errors import RunError

PARTS = str(support.PARTS)

FARM = """
from pathlib import Path

from ebmcore import EbmError, launcher

@launcher
class farm:
    def __init__(self, *, address: str):
        Path(f"reached-{address}").touch()

    def start(self, task):
        raise EbmError("the farm has no room")

    def close(self):
        pass
"""


@pytest.fixture
def group(config, tmp_path):
    """Make a group whose launcher is a local plugin's, and that none of its runs has begun."""
    (tmp_path / "farm.py").write_text(FARM)
    config |= {"sampler": None, "chains": None, "monitors": [], "loss": {"type": "parts:size"}}
    with pytest.raises(RunError, match="the farm has no room") as raised:
        ebmcore_sweep.run_seeds(
            config, 2, plugins=["farm.py"], progress=False,
            launcher={"type": "farm", "address": "mine"},
        )  # fmt: skip
    (tmp_path / "reached-mine").unlink()
    return raised.value.run.dir


def change(group, **facts):
    file = group / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))


def again(group, **options):
    return ebmcore_sweep.resume_seeds(group, plugins=[PARTS, "farm.py"], progress=False, **options)


class Ended:
    def poll(self):
        return 0

    def stop(self):
        pass


class Forked:
    """A launcher whose tasks are forks of one warm process, each done before the next begins."""

    def __init__(self, forks):
        self.forks = forks

    def start(self, task):
        self.forks.run(*task.argv[1:], cwd=Path.cwd(), env={**os.environ, **task.env})
        return Ended()

    def close(self):
        pass


def reached():
    return sorted(place.name.removeprefix("reached-") for place in Path().glob("reached-*"))


@pytest.mark.parametrize("launcher", ["ray", {"type": "ray", "address": "ray://mine:10001"}])
def test_a_launcher_that_this_user_recorded_is_known_again(launcher, monkeypatch, tmp_path):
    facts = json.loads(json.dumps(record_launcher(launcher)))
    assert recorded_launcher(facts) == (launcher, "")
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "another user's"))
    used, doubt = recorded_launcher(facts)
    assert used == "local"
    assert "did not record the launcher 'ray' that run.json names; give --launcher" in doubt


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"launcher": None},
        {"launcher": ["ray"]},
        {"launcher": "local", "launcher_seal": "x"},
        {"launcher": "ray"},
        {"launcher": {"type": 3}, "launcher_seal": ["x"]},
        {"launcher": {"address": "\x1b[31m" * 99}, "launcher_seal": 7},
    ],
)
def test_whatever_else_stands_there_is_the_local_one(facts):
    used, doubt = recorded_launcher(facts)
    assert used == "local"
    assert "\x1b" not in doubt
    assert len(doubt) < 300


def test_a_group_goes_on_with_its_own_launcher(group):
    with pytest.raises(RunError, match="the farm has no room"):
        again(group)
    assert reached() == ["mine"]


@pytest.mark.slow
def test_a_strangers_launcher_is_not_used_and_one_line_says_so(group):
    change(group, launcher={"type": "farm", "address": "theirs"})
    done = again(group)
    assert reached() == []
    assert (done.status, len(done.children)) == ("FINISHED", 2)
    (warning,) = done.warnings
    assert "are started on this machine: your installation did not record" in warning


@pytest.mark.slow
def test_a_child_elsewhere_is_not_gone_on_with(group, config, tmp_path, monkeypatch, forks):
    """A note in the parent's folder names any directory whose run.json names this parent."""
    theirs = tmp_path / "theirs"
    monkeypatch.setenv("EBMCORE_PARENT", str(group))
    monkeypatch.setenv("EBMCORE_PARENT_KEY", "seed-3")
    child = ebmcore.run(config, plugins=["farm.py"], runs_dir=theirs, progress=False)
    monkeypatch.delenv("EBMCORE_PARENT")
    change(child.dir, status="KILLED")
    before = os.stat(child.dir / "run.json").st_mtime_ns
    done = again(group, launcher=Forked(forks))
    assert sorted(done.children) == ["seed-3", "seed-4"]
    assert {path.parent.name for path in done.children.values()} == {"runs"}
    assert os.stat(child.dir / "run.json").st_mtime_ns == before


def test_a_launcher_given_as_an_object_is_recorded_by_its_name(config):
    class Own:
        def start(self, task):
            raise ebmcore.EbmError("no room")

        def close(self):
            pass

    with pytest.raises(RunError) as raised:
        ebmcore_sweep.run_seeds(config, 2, launcher=Own(), progress=False)
    facts = json.loads((raised.value.run.dir / "run.json").read_text())
    assert facts["launcher"] == "Own"
    assert isinstance(facts["launcher_seal"], str)
