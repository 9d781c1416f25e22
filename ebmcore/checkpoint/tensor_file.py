"""Writes a safetensors file from tensors in memory, without a copy of them.

    8 bytes, little-endian: the length of the header, then the header, then the tensors' bytes
    the header, JSON: {NAME: {"dtype": …, "shape": […], "data_offsets": [begin, end]}, …}

Source: https://github.com/huggingface/safetensors#format. `safetensors.torch.save_file` holds a
second copy of all tensors, and leaves the file to be read again for its hash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

_ALIGNED = 8  # bytes: where the first tensor begins, and the largest of which one element has


def write_tensors(tensors: Mapping[str, Tensor], write: Callable[[Any], object]) -> None:
    """Write tensors, of any device, in pieces of bytes that `write` takes."""
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": dtype_name(tensor.dtype),
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNED)
    write(len(text).to_bytes(8, "little") + text)
    for _, tensor in ordered:
        if tensor.numel():
            plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
            write(plain.reshape(-1).view(torch.uint8).numpy())


@cache
def dtype_name(dtype: torch.dtype) -> str | None:
    """Return the name of a dtype in safetensors files; None of one that they can't hold."""
    try:
        data = save({"empty": torch.empty(0, dtype=dtype)})
    except (KeyError, TypeError, ValueError, SafetensorError):
        return None
    found: str = json.loads(data[8:])["empty"]["dtype"]
    return found
