"""Access below a folder of somebody else's, by descriptors and, as on Windows, without them."""

import contextlib
import os
import secrets
import threading

import pytest

from ebmcore import EbmError
from ebmcore.errors import DirectoryError
from ebmcore.runs import folder_handle
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.trackers.files import opened_path
from support import planted
from support.timeouts import within

LINK = "is a link to another place"
SPECIAL = {
    "a FIFO": os.mkfifo,
    "a socket": planted.a_socket,
    "a folder": lambda place: place.mkdir(),
    "a link to another place": lambda place: place.symlink_to("/dev/zero"),
}


KINDS = {"a file": "file", "a folder": "inner", "nothing": "none"}


@pytest.mark.parametrize("by_descriptor", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_each_write_refuses_a_link_on_its_way(monkeypatch, tmp_path, outside, by_descriptor, kind):
    monkeypatch.setattr(folder_handle, "BY_DESCRIPTOR", by_descriptor)
    before = planted.content(outside)
    folder = tmp_path / "run"
    (folder / "deep").mkdir(parents=True)
    for name in ("last", "deep/last", "way", "deep/way"):
        (folder / name).symlink_to(outside / KINDS[kind])
    files = SafeFiles(folder)

    def enter(name):
        with files.folder(name, make=True):
            pass

    def change(name):
        with files.open_to_change(name) as file:
            file.truncate(0)

    writes = {
        "append": lambda name: files.append(name, b"theirs"),
        "replace": lambda name: files.replace(name, b"theirs"),
        "log": lambda name: files.open_log(name).close(),
        "enter": enter,
        "change": change,
    }
    for way, write in writes.items():
        names = ["last", "deep/last", "way/x", "deep/way/x"]
        for name in names:
            with pytest.raises(DirectoryError, match=LINK):
                write(name)
            assert planted.content(outside) == before, (way, name)
    for name in ("deep/file", "file"):  # a draft is taken away, and nothing that it leads to
        (folder / f"{name}.part").symlink_to(outside / KINDS[kind])
        files.replace(name, b"ours")
        assert (folder / name).read_bytes() == b"ours"
    with files.folder() as here:
        here.remove("last")
        here.remove("deep")
    assert planted.content(outside) == before


def test_a_file_that_is_sent_stays_the_one_that_was_opened(tmp_path):
    file, secret = tmp_path / "run" / "figures" / "x.png", tmp_path / "secret"
    file.parent.mkdir(parents=True)
    file.write_text("ours")
    secret.write_text("mine")
    with opened_path(tmp_path / "run", file) as path:
        planted.put(file, lambda place: place.symlink_to(secret))
        assert (path.name, path.read_text()) == ("x.png", "ours")
    with pytest.raises(DirectoryError, match=LINK), opened_path(tmp_path / "run", file):
        pass


def test_a_link_that_comes_and_goes_meanwhile_leads_nowhere(tmp_path, outside):
    before, stop = planted.content(outside), threading.Event()
    way = tmp_path / "run" / "way"
    way.mkdir(parents=True)

    def swap():
        while not stop.is_set():
            for swapped in (
                lambda: way.rename(tmp_path / "run" / secrets.token_hex(8)),
                lambda: way.symlink_to(outside / "inner"),
                way.unlink,
            ):
                with contextlib.suppress(OSError):  # the other made the folder anew
                    swapped()

    thread = threading.Thread(target=swap)
    thread.start()
    files, done = SafeFiles(tmp_path / "run"), []
    try:
        for number in range(500):
            for write in (files.replace, files.append):
                with contextlib.suppress(EbmError, OSError):
                    write("way/run.json", b"theirs")
                    done.append(number)
    finally:
        stop.set()
        thread.join()
    assert done
    assert planted.content(outside) == before


@pytest.mark.parametrize("name", ["..", "../x", "deep/../../x", "x\0y", "/", ""])
def test_no_name_leads_out_of_a_folder(tmp_path, name):
    folder = tmp_path / "run"
    folder.mkdir()
    for write in (SafeFiles(folder).append, SafeFiles(folder).replace):
        with pytest.raises(DirectoryError):
            write(name, b"theirs")
    assert [*tmp_path.iterdir()] == [folder]


def test_a_copy_of_hard_links_doesnt_stop_a_run(tmp_path):
    directory = RunDirectory.create("live", tmp_path)
    directory.append_metrics(1, 0.1, {"loss": 1.0})
    os.link(directory.metrics_file, tmp_path / "backup")  # as `cp -al` does
    directory.append_metrics(2, 0.2, {"loss": 0.5})
    directory.lock.release()
    assert directory.metrics_file.read_text().count("\n") == 2


@pytest.mark.parametrize("by_descriptor", [True, False])
@pytest.mark.parametrize("kind", SPECIAL)
def test_each_access_says_what_stands_there(monkeypatch, tmp_path, by_descriptor, kind):
    monkeypatch.setattr(folder_handle, "BY_DESCRIPTOR", by_descriptor)
    planted.put(tmp_path / "name", SPECIAL[kind])
    files = SafeFiles(tmp_path)

    def read(name):
        with files.open(name):
            pass

    def change(name):
        with files.open_to_change(name):
            pass

    with within(planted.PATIENCE):
        for access in (
            read,
            change,
            lambda name: files.read(name, 10),
            lambda name: files.append(name, b""),
            lambda name: files.open_log(name),
            lambda name: files.replace(name, b""),
        ):
            with pytest.raises(DirectoryError, match=f"name: is {kind}; a run's own is a plain"):
                access("name")
        if kind != "a folder":
            with pytest.raises(DirectoryError, match=f"name: is {kind}; a run's own is a plain"):
                files.names("name")


def test_a_fifo_with_a_writer_is_refused_too(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    both = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        with within(planted.PATIENCE), pytest.raises(DirectoryError, match="is a FIFO"):
            SafeFiles(tmp_path).append("pipe", b"theirs")
    finally:
        os.close(both)
