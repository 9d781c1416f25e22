"""Writes a nested state as JSON and named tensors, without pickle.

Optimisers, schedulers and parts return dicts, lists and tuples of tensors and plain values. JSON
has neither tuples nor keys other than text, so each container is written with its kind:

    {"momentum": 0.9, "state": {0: tensor}}  ->  {"dict": [["momentum", 0.9], ["state", ...]]}
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ebmcore.checkpoint.tensor_file import dtype_name

_PLAIN = (bool, int, float, str, type(None))


def pack(value: Any, name: str = "state") -> tuple[Any, dict[str, Tensor]]:
    """Return a state as JSON types and its tensors by name.

    Raises TypeError, with the path, when it holds anything but tensors, plain values, dicts, lists
    and tuples.
    """
    tensors: dict[str, Tensor] = {}

    def walk(item: Any, path: str) -> Any:
        if isinstance(item, Tensor):
            reason = unsaveable(item)
            if reason is not None:
                raise TypeError(f"{path!r} is {reason}")
            while path in tensors:  # {"a.b": one, "a": {"b": other}}, or a key 0 and a key "0"
                path += "'"
            tensors[path] = item
            return {"tensor": path}
        if isinstance(item, _PLAIN):
            return item
        if isinstance(item, dict):
            pairs = ((_key(key, path), walk(part, f"{path}.{key}")) for key, part in item.items())
            return {"dict": [list(pair) for pair in pairs]}
        if isinstance(item, list | tuple):
            kind = "list" if isinstance(item, list) else "tuple"
            return {kind: [walk(part, f"{path}.{index}") for index, part in enumerate(item)]}
        raise TypeError(
            f"{path!r} is {type(item).__name__}; only tensors, numbers, texts, dicts, lists and "
            "tuples of them can be saved"
        )

    return walk(value, name), tensors


def unsaveable(tensor: Tensor) -> str | None:
    """Return why a tensor can't be saved in a safetensors file; None when it can."""
    if tensor.layout != torch.strided:
        return f"a tensor of layout {tensor.layout}; only dense ones can be saved"
    return None if dtype_name(tensor.dtype) else f"of {tensor.dtype}, which can't be saved"


def unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    """Return the state that `pack` took. Raises ValueError when the JSON has another form."""
    if isinstance(packed, _PLAIN):
        return packed
    if not isinstance(packed, dict) or len(packed) != 1:
        raise ValueError(f"no packed state: {packed!r:.80}")
    ((kind, content),) = packed.items()
    try:
        if kind == "tensor":
            return tensors[content]
        if kind == "dict":
            return {key: unpack(part, tensors) for key, part in content}
        if kind in ("list", "tuple"):
            parts = [unpack(part, tensors) for part in content]
            return parts if kind == "list" else tuple(parts)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no packed state: {packed!r:.80}") from error
    raise ValueError(f"no packed state: {packed!r:.80}")


def _key(key: Any, path: str) -> Any:
    if isinstance(key, str | int):
        return key
    raise TypeError(f"{path!r} has the key {key!r:.40}; keys should be texts or whole numbers")
