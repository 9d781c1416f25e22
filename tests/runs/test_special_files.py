"""Special and huge files in place of a run's own: none is waited for, or read without an end."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

import ebmcore
from ebmcore import EbmError
from ebmcore.checkpoint.files import Contents, write_checkpoint
from ebmcore.errors import CheckpointError, DirectoryError
from ebmcore.plugins.find import find_file
from ebmcore.runs.jsonl import all_points
from ebmcore.runs.layout import LARGEST_CONFIG, LARGEST_STATE
from ebmcore.runs.safe_files import SafeFiles
from support import planted
from support.timeouts import within

SPECIAL = {
    "a FIFO": os.mkfifo,
    "a socket": planted.a_socket,
    "a folder": lambda place: place.mkdir(),
    "a link to another place": lambda place: place.symlink_to("/dev/zero"),
}
READ = ("run.json", "config.yaml", "metrics.jsonl", "events.jsonl", "log.txt", ".lock", ".reserve")
CHECKPOINT = ("manifest.json", "state.json", "weights.safetensors", "ema.safetensors")


@pytest.fixture
def run_dir(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "runs" / "theirs"))


def each_way(run_dir, files, name):
    """Go every way into a run; return the exit codes, and what was said where that isn't 0."""
    found = {}
    for way, call in planted.ways(run_dir, files).items():
        code, said = call()
        # a run that can't be sent now may be sent later
        behind = way == "sync" and name in (".lock", "config.yaml")
        assert code in ((0, 1, 2) if behind else (0, 2)), (name, way, said)
        if code:
            found[way] = said
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECIAL)
def test_no_special_file_is_waited_for(made, files, tmp_path, kind):
    for name in READ:
        theirs = Path(shutil.copytree(made, tmp_path / "runs" / "theirs"))
        planted.put(theirs / name, SPECIAL[kind])
        refused = each_way(theirs, files, name)
        must = {
            "run.json": {"resume", "evaluate", "sample", "sync", "show", "diff"},
            "config.yaml": {"resume", "evaluate", "sample", "diff"},
        }
        for way in must.get(name, {"resume"}):
            assert f"{name}: is {kind}" in refused[way].replace(f"{name} is", f"{name}: is"), way
        shutil.rmtree(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKPOINT)
def test_no_special_file_in_a_checkpoint_is_waited_for(made, files, tmp_path, name):
    for kind, make in SPECIAL.items():
        theirs = Path(shutil.copytree(made, tmp_path / "runs" / "theirs"))
        for place in theirs.glob("checkpoints/step-*"):
            planted.put(place / name, make)
        refused = each_way(theirs, files, name)
        for way in ("resume", "evaluate", "sample"):
            assert f"{name}: " in refused[way], (kind, way, refused)
            assert f"is {kind}" in refused[way] or kind in refused[way], (kind, way, refused)
        shutil.rmtree(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_in_optional_places_are_passed_over(run_dir, files, kind):
    for name in (
        "figures/looks/step-00000099.png", "figures/looks/step-00000012.png.part",
        "children/x.json", "evaluation/evaluation.json", "logs/seed-0.txt", "plugins/other.py",
    ):  # fmt: skip
        planted.put(run_dir / name, SPECIAL[kind])
    refused = each_way(run_dir, files, kind)
    assert set(refused) == ({"resume"} if kind == "a link to another place" else set())


@pytest.mark.slow
def test_files_that_are_too_large_are_refused_unread(made, files, tmp_path):
    for name in ("run.json", "config.yaml", "metrics.jsonl", "events.jsonl", "log.txt"):
        theirs = Path(shutil.copytree(made, tmp_path / "runs" / "theirs"))
        planted.put(theirs / name, planted.sparse)
        refused = each_way(theirs, files, name)
        if name in ("run.json", "config.yaml"):
            for way in ("resume", "evaluate", "sample", "diff"):
                assert (
                    f"{name}: is 953.7 MiB large; a run's own is a plain file of at most"
                    in (refused[way])
                )
        if name == "metrics.jsonl":
            assert "metrics.jsonl:1: no line of metrics" in refused["resume"]
        shutil.rmtree(theirs)
    for name in ("manifest.json", "state.json"):
        theirs = Path(shutil.copytree(made, tmp_path / "runs" / "theirs"))
        for place in theirs.glob("checkpoints/step-*"):
            planted.put(place / name, planted.sparse)
        refused = each_way(theirs, files, name)
        assert all(name in refused[way] for way in ("resume", "evaluate", "sample"))
        shutil.rmtree(theirs)


def test_a_state_that_could_not_be_read_again_is_not_written(tmp_path):
    state = {"dict": [["text", "x" * LARGEST_STATE]]}
    with pytest.raises(CheckpointError, match=r"state\.json would have 671\d+ bytes"):
        write_checkpoint(tmp_path / "checkpoints", Contents(1, (2,), {}, state))
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_a_config_that_could_not_be_read_again_is_not_written(config):
    config["name"] = "x"
    config["tracking"] = {"experiment": "y" * LARGEST_CONFIG}
    with pytest.raises(EbmError, match=r"config\.yaml: would have 1\d+ bytes, and 1048576 are"):
        ebmcore.run(config, progress=False)


def test_what_grows_while_it_is_read_has_an_end(tmp_path):
    file, stop = tmp_path / "metrics.jsonl", threading.Event()
    line = b'{"step": 1, "epoch": 0, "time": 1, "loss": 1}\n'
    file.write_bytes(line)

    def grow():
        while not stop.is_set():
            with file.open("ab") as opened_file:
                opened_file.write(line * 2000)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        with within(planted.PATIENCE):
            assert sum(1 for _ in all_points(file)) >= 1
            while file.stat().st_size < 200_000:
                time.sleep(0.01)
            with pytest.raises(DirectoryError, match=r"is .* large"):
                SafeFiles(tmp_path).read("metrics.jsonl", 200_000)
    finally:
        stop.set()
        thread.join()


def test_a_plugin_file_that_is_a_fifo_is_not_read(config, tmp_path):
    os.mkfifo(tmp_path / "plugin.py")
    with within(planted.PATIENCE):
        assert find_file(tmp_path / "plugin.py").sha256 == ""
        config["plugins"]["files"].append(str(tmp_path / "plugin.py"))
        with pytest.raises(EbmError, match=r"plugin\.py"):
            ebmcore.run(config, progress=False)


def test_a_config_on_the_command_line_may_come_through_a_pipe(config, tmp_path):
    import json

    os.mkfifo(tmp_path / "pipe.yaml")
    os.mkfifo(tmp_path / "run.json")  # beside it: of somebody else's
    writer = threading.Thread(
        target=lambda: (tmp_path / "pipe.yaml").write_text(json.dumps(config)), daemon=True
    )
    writer.start()
    code, said = planted.command("run", "pipe.yaml", "train.epochs=1")
    writer.join()
    assert code == 0, said
