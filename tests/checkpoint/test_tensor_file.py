"""Files of tensors are those of safetensors, whose own reader takes them."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load, save

from ebmcore.checkpoint.files import Contents, write_checkpoint
from ebmcore.checkpoint.tensor_file import dtype_name, write_tensors

BITS = torch.arange(64, dtype=torch.uint8)
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
          "float64", "complex64", "float8_e4m3fn", "uint16", "uint64"]  # fmt: skip


def written(tensors):
    pieces = []
    write_tensors(tensors, lambda piece: pieces.append(bytes(piece)))
    return b"".join(pieces)


def same_bits(one, other):
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    flat = [t.contiguous().reshape(-1).view(torch.uint8) for t in (one, other)]
    assert torch.equal(*flat)


@pytest.mark.parametrize("name", DTYPES)
def test_each_dtype_comes_back_bit_for_bit(name):
    dtype = getattr(torch, name)
    tensor = (BITS % 2).bool() if name == "bool" else BITS.view(dtype)
    same_bits(load(written({"x": tensor}))["x"], tensor)


def test_any_layout_comes_back_and_the_file_is_their_own():
    grid = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "whole": grid,
        "tied": grid,
        "turned": grid.T,
        "part": grid[:, 1::2],
        "one": torch.tensor(7.0),
        "none": torch.empty(0, 3),
        "é\"'": torch.tensor([True, False, True]),
        "steps": torch.tensor(5),
        "held": torch.nn.Parameter(grid[0]),
        "conjugate": torch.tensor([1 + 2j], dtype=torch.complex64).conj(),
    }
    content = written(tensors)
    found = load(content)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        same_bits(found[name], tensor.detach().resolve_conj())
    plain = {"a": grid.clone(), "b": torch.tensor(5), "c": torch.ones(3, dtype=torch.uint8)}
    assert written(plain) == save(plain)


def test_what_no_file_holds_has_no_name():
    assert dtype_name(torch.complex128) is None
    assert dtype_name(torch.float32) == "F32"


def test_the_manifest_has_the_hashes_of_the_files(tmp_path):
    tensors = {"weights": {"w": torch.randn(9_000_000 // 4)}, "none": {}, "state": {"s": BITS}}
    path = write_checkpoint(tmp_path / "checkpoints", Contents(1, (2,), tensors, {"dict": []}))
    hashes = json.loads((path / "manifest.json").read_text())["sha256"]
    names = ["state.json", "state.safetensors", "weights.safetensors"]
    assert list(hashes) == names
    assert sorted(p.name for p in path.iterdir()) == ["manifest.json", *names]
    for name, digest in hashes.items():
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest
