"""Which checkpoints of a folder count, which are deleted, and that each is hashed whole."""

import json

import pytest
import torch

from ebmcore.checkpoint import files
from ebmcore.checkpoint.files import Checkpoint, write_checkpoint
from ebmcore.errors import EbmError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path


def empty(folder, step, whole=True):
    contents = files.Contents(step, (2,), {"weights": {"w": torch.tensor([step])}}, {}, whole)
    return write_checkpoint(folder, contents)


def test_which_checkpoints_count_and_which_are_deleted(folder):
    place, warned = folder / "run" / "checkpoints", []
    for step in (2, 9, 10, 30, 31):
        empty(place, step, whole=step != 31)
    assert files.newest(place).name == "step-00000030"
    assert Checkpoint.last(place).step == 31
    assert Checkpoint.last(place, whole=True).step == 30
    file = place / "step-00000030" / "weights.safetensors"
    again = empty(place, 30)  # a whole one of the same step stays
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert again == file.parent
    assert empty(place, 30) == file.parent
    assert file.read_bytes() != content
    assert Checkpoint.last(place, whole=True, warn=warned.append).step == 10
    assert len(warned) == 1
    assert warned[0].endswith("; step-00000010 is used instead")
    files.prune(place, 2, 9, None)
    assert sorted(p.name[-2:] for p in place.iterdir()) == ["09", "30", "31"]
    files.drop_after(place, 30)
    assert sorted(p.name[-2:] for p in place.iterdir()) == ["09", "30"]


def test_a_run_resumes_from_what_is_whole_or_unreadable(folder):
    place = folder / "run" / "checkpoints"
    empty(place, 1, whole=False)
    assert not files.has_good(place)
    manifest = empty(place, 2) / "manifest.json"
    assert files.has_good(place)
    manifest.write_text("{")  # a later resume says so, rather than to begin again
    assert files.has_good(place)


def test_an_altered_state_is_refused(folder):
    path = empty(folder / "run" / "checkpoints", 1)
    (path / "state.json").write_text('{"step": 7}\n')
    with pytest.raises(EbmError, match=r"state\.json: missing, or not what .*its hash differs"):
        Checkpoint(path)
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]["state.json"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EbmError, match=r"state\.json: missing, or not what .*its hash differs"):
        Checkpoint(path)


def test_a_large_file_is_hashed_whole(folder):
    place = folder / "run" / "checkpoints"
    large = {"w": torch.zeros(3 * files._PIECE // 4)}
    path = write_checkpoint(place, files.Contents(1, (2,), {"weights": large}, {}))
    file = path / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-4] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(EbmError, match="its hash differs"):
        Checkpoint(path)
