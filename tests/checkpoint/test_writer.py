"""Large checkpoints are written beside the training: exact, in order, whole or not at all."""

import os
import resource
import select
import signal
import threading
from contextlib import contextmanager

import pytest
import torch

from ebmcore.checkpoint.files import Checkpoint, Contents, drop_after, newest
from ebmcore.checkpoint.writer import AT_ONCE, CheckpointWriter
from ebmcore.errors import CheckpointError

LARGE = AT_ONCE // 4 + 1  # floats


class Gate(threading.Event):
    """Holds up whoever writes a checkpoint, before each of its pieces, until it is opened."""

    def __init__(self):
        super().__init__()
        self.opened = threading.Event()

    def is_set(self):
        self.opened.wait()
        return super().is_set()

    def set(self):
        super().set()
        self.opened.set()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def contents(step, tensor):
    return Contents(step, (2,), {"weights": {"w": tensor}}, {"dict": []})


@contextmanager
def largest_file(size):
    """Let the system refuse larger files, as a full disk refuses any."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_large_one_is_written_beside_and_holds_its_step(folder):
    shown, then, gate = [], [], Gate()
    writer = CheckpointWriter(folder, shown.append, gate)
    weights = torch.arange(float(LARGE))
    writer.write(contents(1, weights), lambda: then.append((newest(folder).name, list(shown))))
    weights.add_(1)  # the training goes on
    writer.after_step()
    assert (shown, newest(folder), writer.busy) == ([], None, True)
    threading.Timer(0.05, gate.opened.set).start()
    writer.write(contents(2, weights), lambda: then.append((newest(folder).name, list(shown))))
    first = folder / "step-00000001"
    assert shown == [first]  # the second waited for it
    writer.settle()
    assert shown == [first, folder / "step-00000002"]
    assert then == [(first.name, []), ("step-00000002", [first])]
    for path, begin in zip(shown, (0, 1), strict=True):
        found = Checkpoint(path).tensors("weights")["w"]
        assert torch.equal(found, torch.arange(float(LARGE)) + begin)


@pytest.mark.parametrize(("size", "at_once"), [(8, False), (LARGE, True)])
def test_a_small_one_and_the_last_are_written_at_once(folder, size, at_once):
    shown = []
    writer = CheckpointWriter(folder, shown.append)
    writer.write(contents(3, torch.zeros(size)), lambda: None, at_once=at_once)
    assert shown == [newest(folder)] == [folder / "step-00000003"]
    assert not writer.busy


@pytest.mark.parametrize("how", ["settle", "after_step", "write"])
def test_a_full_disk_is_reported_by_the_next_call(folder, how):
    shown = []
    writer = CheckpointWriter(folder, shown.append)
    writer.write(contents(1, torch.zeros(3)), lambda: None)
    with largest_file(LARGE):
        writer.write(contents(2, torch.zeros(LARGE)), lambda: shown.append("wrong"))
        writer.wait()
        wrong = r"step-00000002: can't be written: File too large; step-00000001 is whole"
        with pytest.raises(CheckpointError, match=wrong):
            getattr(writer, how)(*((contents(3, torch.zeros(3)), int) if how == "write" else ()))
    assert [path.name for path in folder.iterdir()] == ["step-00000001"]
    writer.write(contents(4, torch.zeros(3)), lambda: None)
    assert [path.name for path in shown] == ["step-00000001", "step-00000004"]


def test_one_that_is_abandoned_leaves_nothing(folder):
    shown = []
    writer = CheckpointWriter(folder, shown.append, Gate())
    writer.write(contents(1, torch.zeros(LARGE)), lambda: shown.append("wrong"))
    writer.abandon()
    writer.settle()
    assert (shown, list(folder.iterdir())) == ([], [])


def test_a_kill_within_leaves_the_one_before(folder):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # it writes the second one until it is killed
        try:
            torch.set_num_threads(1)  # the others weren't forked
            writer = CheckpointWriter(folder, print, Gate())
            writer.write(contents(1, torch.ones(LARGE)), lambda: None)
            writer.cancelled.opened.set()
            writer.wait()
            writer.cancelled.opened.clear()
            writer.write(contents(2, torch.zeros(LARGE)), lambda: None)
            while not list(folder.glob(".*.part/weights.safetensors")):
                pass
            os.write(writing, b"!")
            writer.wait()
        finally:
            os._exit(1)
    select.select([reading], [], [], 30)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    os.close(reading)
    os.close(writing)
    assert sorted(p.name for p in folder.iterdir()) == [".step-00000002.part", "step-00000001"]
    last = Checkpoint.last(folder, whole=True)
    assert torch.equal(last.tensors("weights")["w"], torch.ones(LARGE))
    drop_after(folder, last.step)
    assert [path.name for path in folder.iterdir()] == ["step-00000001"]
