"""Links in a run directory that somebody else made: nothing is written through one."""

import os
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import ebmcore
from ebmcore import EbmError, Task
from ebmcore.errors import DirectoryError
from ebmcore.runs import folder_handle
from ebmcore.runs.layout import FILES, FOLDERS
from ebmcore.runs.parent_child import ParentReference, register_child
from support import planted

LINK = "is a link to another place"


KINDS = {"a file": "file", "a folder": "inner", "nothing": "none"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_way_into_a_run_writes_through_a_link(made, files, outside, tmp_path, kind):
    before = planted.content(outside)
    for name in planted.places(made):
        theirs = tmp_path / "runs" / "theirs"
        shutil.copytree(made, theirs)
        planted.put(theirs / name, lambda place: place.symlink_to(outside / KINDS[kind]))
        for way, call in planted.ways(theirs, files).items():
            if way in ("evaluate", "sample") and "/" in name and "evaluation" not in name:
                continue  # what these neither read nor write
            code, said = call()
            assert planted.content(outside) == before, (name, way)
            assert code in (0, 2), (name, way, said)
            if code == 2:
                assert said.count("\n") == 1, (name, way, said)
            if way == "resume":
                assert f"{theirs / name}: {LINK}" in said
        shutil.rmtree(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_link_in_a_drafts_place_is_taken_away(made, files, outside, tmp_path, kind):
    before = planted.content(outside)
    theirs = Path(shutil.copytree(made, tmp_path / "runs" / "theirs"))
    for way, call in planted.ways(theirs, files).items():
        for name in planted.drafts(made):
            if "/" not in name or way == "evaluate":  # deeper ones, a run that goes on refuses
                planted.put(theirs / name, lambda place: place.symlink_to(outside / KINDS[kind]))
        code, said = call()
        assert (code, way) == (0, way), said
        assert planted.content(outside) == before, way


WRITTEN = (
    "config.yaml", "run.json", "metrics.jsonl", "events.jsonl", "figures", "figures/looks",
    "checkpoints",
)  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_a_link_that_is_planted_while_a_run_goes_on_fails_it(config, outside, tmp_path, name):
    plants = tmp_path / "plants.py"
    plants.write_text(
        "import shutil\nfrom pathlib import Path\nfrom ebmcore import monitor\n"
        "@monitor\ndef plants(view):\n"
        "    (folder,) = Path('runs').iterdir()\n"
        f"    place = folder / {name!r}\n"
        "    if view.step == 4:\n"
        "        shutil.rmtree(place, ignore_errors=True)\n"
        "        place.unlink(missing_ok=True)\n"
        "        place.parent.mkdir(exist_ok=True)\n"
        f"        place.symlink_to({str(outside / 'inner')!r})\n"
        "    return {}\n"
    )
    config["plugins"]["files"].append(str(plants))
    config["train"] = {"steps": 9, "batch_size": 20, "log_every": 2, "checkpoint_every": "3 steps"}
    config["monitors"] = [
        {"type": "plants", "every": "1 step"},
        {"type": "parts:looks", "every": "5 steps"},
    ]
    before = planted.content(outside)
    if name in ("config.yaml", "events.jsonl"):  # which are not written again
        assert ebmcore.run(config, progress=False).status == "FINISHED"
    else:
        with pytest.raises(ebmcore.RunError, match=LINK):
            ebmcore.run(config, progress=False)
    assert planted.content(outside) == before


def test_runs_are_written_and_read_without_descriptors(monkeypatch, config, files):
    monkeypatch.setattr(folder_handle, "BY_DESCRIPTOR", False)
    config["monitors"] = [{"type": "parts:looks", "every": "1 epoch"}]
    config["loss"] = {"type": "parts:breaks", "at": 9}
    config["train"] |= {"checkpoint_every": "4 steps"}
    with pytest.raises(ebmcore.RunError) as failed:
        ebmcore.run(config, progress=False)
    folder = failed.value.run.dir
    recorded = folder / "config.yaml"
    recorded.write_text(recorded.read_text().replace("at: 9", "at: -1"))
    assert ebmcore.resume(folder, plugins=files, progress=False).status == "FINISHED"
    looks = {"monitors": [{"type": "parts:looks"}]}
    assert ebmcore.evaluate(folder, looks, plugins=files).metrics
    assert ebmcore.load(folder, plugins=files).sample(3).shape == (3, 2)
    assert not list(folder.rglob("*.part"))


def test_the_run_directory_itself_may_be_a_link(config, tmp_path):
    run = ebmcore.run(config, {"train.epochs": 1}, progress=False)
    (tmp_path / "mine").symlink_to(run.dir)
    facts = tmp_path / "mine" / "run.json"
    facts.write_text(facts.read_text().replace("FINISHED", "KILLED"))
    resumed = ebmcore.resume(tmp_path / "mine", plugins=config["plugins"]["files"], progress=False)
    assert resumed.status == "FINISHED"


@pytest.fixture
def parent(tmp_path):
    from ebmcore_sweep.parent import Parent

    with Parent.begin("seeds", {"name": "group"}, tracking=None, runs_dir=tmp_path) as parent:
        parent.update(seeds=[0, 1])
        parent.status = "KILLED"
    return parent.path


@pytest.mark.plugins
@pytest.mark.parametrize("kind", KINDS)
def test_a_parent_that_goes_on_writes_through_no_link(parent, outside, tmp_path, kind):
    from ebmcore_sweep.parent import Parent

    before = planted.content(outside)
    names = [
        ".lock", *FILES, *FOLDERS, "logs/seed-0.txt", "children/x.json", "figures/loss",
        "figures/loss/loss.png", "figures/loss/loss.part", "figures/loss/loss.png.part",
    ]  # fmt: skip
    for name in names:
        theirs = tmp_path / "theirs"
        shutil.copytree(parent, theirs)
        planted.put(theirs / name, lambda place: place.symlink_to(outside / KINDS[kind]))
        code, said = planted.command("resume", theirs)
        assert (code, said.count("\n")) == (2, 1), (name, said)
        assert f"{theirs / name}: {LINK}" in said
        with pytest.raises(EbmError, match=LINK):
            Parent.resume(theirs, None)
        assert planted.content(outside) == before, name
        shutil.rmtree(theirs)


@pytest.mark.plugins
def test_what_is_planted_in_a_parent_later_is_refused_too(parent, outside):
    from ebmcore_sweep.local_launcher import Local
    from ebmcore_sweep.parent import Parent

    before = planted.content(outside)
    with Parent.resume(parent, None) as resumed:
        for name in ("figures/loss", "children", "logs", "summary.md"):
            planted.put(parent / name, lambda place: place.symlink_to(outside / "inner"))
        with pytest.raises(DirectoryError, match=LINK):
            resumed.draw("loss", Figure(figsize=(1, 1)))
        with pytest.raises(DirectoryError, match=LINK):
            resumed.directory.write("summary.md", b"theirs")
        with pytest.raises(DirectoryError, match=LINK):
            register_child(parent / "child", ParentReference("group", str(parent)))
        with pytest.raises(EbmError, match=LINK):
            Local().start(Task(("true",), parent / "logs" / "seed-0.txt"))
        planted.put(parent / "logs", lambda place: place.mkdir())
        (parent / "logs" / "seed-0.txt").symlink_to(outside / "file")
        with pytest.raises(EbmError, match=LINK):
            Local().start(Task(("true",), parent / "logs" / "seed-0.txt"))
    assert planted.content(outside) == before


def test_a_hard_link_is_not_written_through(made, files, outside, tmp_path):
    theirs = Path(shutil.copytree(made, tmp_path / "theirs"))
    shutil.copyfile(theirs / "metrics.jsonl", outside / "file")
    before = planted.content(outside)
    for name in ("metrics.jsonl", "events.jsonl"):
        kept = (theirs / name).read_bytes()
        planted.put(theirs / name, lambda place: os.link(outside / "file", place))
        with pytest.raises(EbmError, match=rf"{name}: has a second name \(a hard link\)"):
            ebmcore.resume(theirs, plugins=files, progress=False)
        planted.put(theirs / name, lambda place, kept=kept: place.write_bytes(kept))
    for name in ("run.json", "config.yaml", "log.txt", ".lock"):
        shutil.copyfile(theirs / name, outside / name)
        planted.put(theirs / name, lambda place: os.link(outside / place.name, place))
    (outside / "room").write_bytes(bytes(64 * 1024))
    os.link(outside / "room", theirs / ".reserve")
    before = planted.content(outside)
    assert ebmcore.resume(theirs, plugins=files, progress=False).status == "FINISHED"
    assert planted.content(outside) == before
